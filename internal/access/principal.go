package access

import (
	"slices"

	"github.com/connectlink/connectlink/internal/invite"
)

// Kind is what sort of someone acts.
type Kind string

// The kinds of principal.
const (
	KindKey       Kind = "key"       // a product's backend
	KindStaff     Kind = "staff"     // a person in the console
	KindRecipient Kind = "recipient" // a person with an invite link
	KindSystem    Kind = "system"    // the service itself: retries, expiry, retention
	KindProvider  Kind = "provider"  // a vendor's callback
)

// Principal is who acts, as proved at an inbound edge. It carries no secret
// and may be logged and written into events.
type Principal struct {
	invite.Place

	Kind        Kind
	ID          string  // "key_…", a staff id, a provider's name; empty for recipients and the system
	Environment string  // Pipedream's, "development" or "production"
	Scopes      []Scope // of keys
	Role        Role    // of staff
	Origin      Origin  // of staff, and the request of keys
}

// System is the service acting by itself within one project and mode.
func System(place invite.Place) Principal {
	return Principal{Kind: KindSystem, Place: place}
}

// Can reports whether the principal holds the scope. Only keys hold scopes; the
// service itself holds all. Staff act by role, recipients by their code and
// providers by their signature, and none of those passes for a scope.
func (p Principal) Can(s Scope) bool {
	switch p.Kind {
	case KindKey:
		return slices.Contains(p.Scopes, s)
	case KindSystem:
		return true
	default:
		return false
	}
}

// Actor names the principal in events and the audit log: "key:key_…",
// "system".
func (p Principal) Actor() string {
	if p.ID == "" {
		return string(p.Kind)
	}
	return string(p.Kind) + ":" + p.ID
}
