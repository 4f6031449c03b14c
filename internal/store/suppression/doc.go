// Package suppression owns the table of addresses that are not to be written
// to, and how such an address is looked up.
//
// It is a store of its own, apart from the ledger: a block is about an address
// and not about one invite, it is read before there is an invite, and it stays
// when the invite is gone. Addresses are stored sealed and found by a keyed
// hash. It must not decide what blocks: package invite does.
package suppression

import (
	"strconv"

	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
)

// Scope is whose blocks are meant.
type Scope struct {
	invite.Place

	// Senders are what the project's texts come from, messaging services or numbers,
	// the first choice first: opt-outs are said to one of them, across projects, and
	// keep all of them from writing. Empty: no opt-outs.
	Senders []string
}

// sender is the one that a new opt-out belongs to.
func (s Scope) sender() string {
	if len(s.Senders) == 0 {
		return ""
	}
	return s.Senders[0]
}

// Keys are the hashes under which a block of an address would stand: its
// project's own and, for a number, the senders', one per live key each.
func Keys(box *seal.Box, s Scope, ch invite.Channel, address string) []seal.Hash {
	if address == "" {
		return nil
	}
	forms := []string{foldAddress(ch, address)}
	if ch.Spec().Field == invite.FieldPhone {
		// A provider may report STOP from another form of the number than the one
		// that was written to, such as +521 for +52.
		forms = contact.PhoneForms(address)
	}
	var keys []seal.Hash
	for _, form := range forms {
		keys = append(keys, box.Hashes("suppression", s.Project, strconv.FormatBool(s.Live), string(ch), form)...)
		if !ch.Spec().OptOutByReply {
			continue
		}
		for _, sender := range s.Senders {
			keys = append(keys, box.Hashes("opt_out", sender, form)...)
		}
	}
	return keys
}

// hashKey is the hash a new block is stored under.
func hashKey(box *seal.Box, s Scope, ch invite.Channel, kind invite.Block, address string) seal.Hash {
	if kind == invite.OptOut {
		return box.Hash("opt_out", s.sender(), address)
	}
	return box.Hash("suppression", s.Project, strconv.FormatBool(s.Live), string(ch), foldAddress(ch, address))
}

// foldAddress is an address as it is compared: mail's without case.
func foldAddress(ch invite.Channel, address string) string {
	if ch.Spec().Field != invite.FieldEmail {
		return address
	}
	local, domain := contact.EmailParts(address)
	return local + "@" + domain
}
