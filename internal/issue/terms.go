package issue

import (
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// AddressTerms are the hashes, one per live key, by which an exact address is looked up.
func AddressTerms(box *seal.Box, place invite.Place, address string) []seal.Hash {
	return ledger.AddressTerms(box, place, address)
}
