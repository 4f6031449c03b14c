package access

import (
	"fmt"
	"slices"
	"strings"
)

// Scope is one thing an API key may do.
type Scope string

// The scopes. None implies another: a key for reading links must name both
// InvitesRead and LinksRead.
const (
	InvitesWrite Scope = "invites:write" // create, resend, extend, revoke
	InvitesRead  Scope = "invites:read"  // read and list, without links
	LinksRead    Scope = "links:read"    // the URLs of one invite
	Suppressions Scope = "suppressions"  // see, add and lift blocks
	Webhooks     Scope = "webhooks"      // manage endpoints of events
	Admin        Scope = "admin"         // what concerns the whole project: export and erase a person
)

// Scopes returns every scope, in the order documentation lists them.
func Scopes() []Scope {
	return []Scope{InvitesWrite, InvitesRead, LinksRead, Suppressions, Webhooks, Admin}
}

// DefaultScopes are the scopes of a key by default: enough to create an
// invite, follow it and open its link.
func DefaultScopes() []Scope { return []Scope{InvitesWrite, InvitesRead, LinksRead} }

// ParseScopes reads scopes separated by commas or white space, without
// duplicates and in listed order. The error names everything that is no scope.
func ParseScopes(s string) ([]Scope, error) {
	words := strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' })
	var unknown []string
	for _, w := range words {
		if !slices.Contains(Scopes(), Scope(w)) {
			unknown = append(unknown, fmt.Sprintf("%q", w))
		}
	}
	switch {
	case len(unknown) > 0:
		return nil, fmt.Errorf("unknown scope %s; there are %s", strings.Join(unknown, ", "), JoinScopes(Scopes()))
	case len(words) == 0:
		return nil, fmt.Errorf("no scope named; there are %s", JoinScopes(Scopes()))
	}
	var out []Scope
	for _, known := range Scopes() {
		if slices.Contains(words, string(known)) {
			out = append(out, known)
		}
	}
	return out, nil
}

// JoinScopes writes scopes the way ParseScopes reads them.
func JoinScopes(scopes []Scope) string {
	words := make([]string, len(scopes))
	for i, s := range scopes {
		words[i] = string(s)
	}
	return strings.Join(words, " ")
}
