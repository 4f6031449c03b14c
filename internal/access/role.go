package access

import (
	"slices"

	"github.com/connectlink/connectlink/internal/invite"
)

// Role is what a member of staff may do in the console, within one project.
type Role string

// The roles, from least to most.
const (
	RoleViewer Role = "viewer" // masked data, no acts
	RoleAgent  Role = "agent"  // puts right what went wrong for one person
	RoleLead   Role = "lead"   // what concerns many, or cannot be undone
	RoleAdmin  Role = "admin"  // team, keys, operation
)

// Roles returns every role, from least to most.
func Roles() []Role { return []Role{RoleViewer, RoleAgent, RoleLead, RoleAdmin} }

// AtLeast reports whether r may do what other may. An unknown role may nothing.
func (r Role) AtLeast(other Role) bool {
	have, want := slices.Index(Roles(), r), slices.Index(Roles(), other)
	return have >= 0 && want >= 0 && have >= want
}

// Act is one thing that staff do in the console. Its word stands in the audit
// log, so a word that was used is never given another meaning.
type Act string

// The acts that a role decides about.
const (
	ActRead         Act = "read"          // every page that shows masked data
	ActUnmask       Act = "unmask"        // the addresses of one record
	ActCreate       Act = "create"        // a new invite
	ActResend       Act = "resend"        // to the same person
	ActCorrect      Act = "correct"       // another address, and resend
	ActRevoke       Act = "revoke"        // an invite
	ActExtend       Act = "extend"        // the validity of an invite, without a message
	ActCopyLink     Act = "copy_link"     // our link, for handing it over in person
	ActBlock        Act = "block"         // add a block of an address
	ActBlockMany    Act = "block_many"    // add blocks of a list of addresses
	ActTake         Act = "take"          // own an invite without an owner
	ActLetGo        Act = "let_go"        // own it no longer
	ActBulk         Act = "bulk"          // one of the acts above on many invites
	ActNote         Act = "note"          // write a note beside an invite
	ActDeleteNote   Act = "delete_note"   // one's own
	ActTakeOver     Act = "take_over"     // an invite of a colleague, and their notes
	ActBulkMany     Act = "bulk_many"     // an act on more invites than agents may
	ActTeamView     Act = "team_view"     // save, rename and delete views for the team
	ActLiftBlock    Act = "lift_block"    // take one away
	ActAllowMore    Act = "allow_more"    // messages to one person beyond the limit
	ActPauseCountry Act = "pause_country" // stop and start text messages to a country, and a key that was paused
	ActErase        Act = "erase"         // a person's data
	ActExport       Act = "export"        // many records at once
	ActAuditLog     Act = "audit_log"     // who did what
	ActTechnical    Act = "technical"     // provider codes, ids, raw data; how the system stands
	ActKeys         Act = "keys"          // make and revoke API keys
	ActWebhooks     Act = "webhooks"      // webhook endpoints and the events they receive
	ActMessages     Act = "messages"      // the texts of messages
	ActStaff        Act = "staff"         // accounts, roles and sessions of others
	ActPause        Act = "pause"         // stop and start sending
)

// requiredRole is the one table of who may what.
func requiredRole(a Act) (Role, bool) {
	switch a {
	case ActRead:
		return RoleViewer, true
	case ActUnmask, ActCreate, ActResend, ActCorrect, ActRevoke, ActExtend, ActCopyLink, ActBlock, ActBulk, ActTake, ActLetGo, ActNote, ActDeleteNote:
		return RoleAgent, true
	case ActTakeOver, ActBulkMany, ActTeamView, ActBlockMany, ActLiftBlock, ActAllowMore, ActPauseCountry, ActErase, ActExport, ActAuditLog:
		return RoleLead, true
	case ActTechnical, ActKeys, ActWebhooks, ActMessages, ActStaff, ActPause:
		return RoleAdmin, true
	}
	return "", false
}

// Acts returns every act that a role decides about, from least to most.
func Acts() []Act {
	return []Act{
		ActRead, ActUnmask, ActCreate, ActResend, ActCorrect, ActRevoke, ActExtend, ActCopyLink, ActBlock,
		ActBulk, ActTake, ActLetGo, ActNote, ActDeleteNote, ActTakeOver, ActBulkMany, ActTeamView, ActBlockMany, ActLiftBlock, ActAllowMore, ActPauseCountry, ActErase, ActExport, ActAuditLog, ActTechnical, ActKeys, ActWebhooks, ActMessages, ActStaff, ActPause,
	}
}

// May reports whether the role may do a. Unknown roles and unknown acts are
// refused.
func (r Role) May(a Act) bool {
	least, known := requiredRole(a)
	return known && r.AtLeast(least)
}

// Least is the least role that may do a, for messages that name the role
// to ask.
func Least(a Act) Role {
	r, _ := requiredRole(a)
	return r
}

// Staff is a member of staff within one project and mode.
func Staff(id string, role Role, place invite.Place) Principal {
	return Principal{Kind: KindStaff, ID: id, Role: role, Place: place}
}

// May reports whether the principal is staff whose role allows a.
func (p Principal) May(a Act) bool { return p.Kind == KindStaff && p.Role.May(a) }

// Origin is the source of a staff act, for the audit log.
type Origin struct {
	SessionID string // "ses_…"
	RequestID string
	// AddressHash is a keyed hash of the client's address: it tells that two acts
	// came from one place, and not from which.
	AddressHash []byte
}
