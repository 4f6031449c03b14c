// Package suppression owns the table of addresses that are not to be written
// to, and how such an address is looked up.
//
// It is a store of its own, apart from the ledger: a block is about an address
// and not about one invite, it is read before there is an invite, and it stays
// when the invite is gone. Addresses are stored sealed and found by a keyed
// hash. It must not decide what blocks: package invite does.
package suppression

import (
	"encoding/json"
	"strconv"

	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
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

// input is the text that a suppression is hashed of.
type input struct {
	kind  string
	parts []string
}

// Kinds of hashes. They stand in stored rows: a renamed one finds nothing.
const (
	kindSuppression = "suppression"
	kindOptOut      = "opt_out"
	kindSeed        = "suppression.seed"
)

// ownInput is that of a project's own suppression.
func ownInput(place invite.Place, ch invite.Channel, form string) input {
	return input{kindSuppression, []string{place.Project, strconv.FormatBool(place.Live), string(ch), form}}
}

func optOutInput(sender, form string) input { return input{kindOptOut, []string{sender, form}} }

// seed is the digest of an input. An erased suppression keeps it sealed, so that its
// hash can be renewed under another key without the address. Like the hash, it tells
// those with the keyset which of the addresses they know is meant, and no others.
func (in input) seed() []byte {
	text, err := json.Marshal(append([]string{in.kind}, in.parts...))
	if err != nil {
		panic("suppression: strings did not encode")
	}
	return secret.Digest(secret.New(string(text)))
}

// seedHashes are the hashes of an erased suppression that was renewed, one per live
// key, the primary key's first.
func seedHashes(box *seal.Box, seed []byte) []seal.Hash { return box.Hashes(kindSeed, string(seed)) }

// hashes are those that a suppression may have, one per live key, before and after it
// was erased and renewed.
func (in input) hashes(box *seal.Box) []seal.Hash {
	return append(box.Hashes(in.kind, in.parts...), seedHashes(box, in.seed())...)
}

// Keys are the hashes under which a block of an address would stand: its
// project's own and, for a number, the senders', for each live key.
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
		keys = append(keys, ownInput(s.Place, ch, form).hashes(box)...)
		if !ch.Spec().OptOutByReply {
			continue
		}
		for _, sender := range s.Senders {
			keys = append(keys, optOutInput(sender, form).hashes(box)...)
		}
	}
	return keys
}

// inputOf is the input of a suppression, by the columns of its row.
func inputOf(place invite.Place, ch invite.Channel, kind invite.Block, sender, address string) input {
	if kind == invite.OptOut {
		return optOutInput(sender, address)
	}
	return ownInput(place, ch, foldAddress(ch, address))
}

// hashKey is the hash a new block is stored under.
func hashKey(box *seal.Box, s Scope, ch invite.Channel, kind invite.Block, address string) seal.Hash {
	in := inputOf(s.Place, ch, kind, s.sender(), address)
	return box.Hash(in.kind, in.parts...)
}

// RowHashes returns the hashes that a row may have, one per live key, the primary key's
// first: of its address, or of its seed once that was erased. sure reports whether the
// stored hash is among those; after an erasure it may still be that of the address.
// Without either there are none.
func RowHashes(box *seal.Box, place invite.Place, ch invite.Channel, kind invite.Block, sender string, address, seed []byte) (hashes []seal.Hash, sure bool) {
	switch {
	case address != nil:
		in := inputOf(place, ch, kind, sender, string(address))
		return box.Hashes(in.kind, in.parts...), true
	case seed != nil:
		return seedHashes(box, seed), false
	}
	return nil, true
}

// foldAddress is an address as it is compared: mail's without case.
func foldAddress(ch invite.Channel, address string) string {
	if ch.Spec().Field != invite.FieldEmail {
		return address
	}
	local, domain := contact.EmailParts(address)
	return local + "@" + domain
}
