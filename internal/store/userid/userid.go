// Package userid owns how an invite's row stores the product's id of its user:
// in plain text, or sealed with a placeholder beside it. Rows of both kinds stand
// in one table, and every reader opens them here. It does not look users up: that
// is done by keyed hashes, see find.User.
package userid

import (
	"encoding/base32"
	"fmt"
	"strings"

	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
)

// Columns are the columns of invites that hold the id. Structs of rows embed it.
type Columns struct {
	// UserText is the id of a row that is not sealed, or the mark of an erased
	// one. In a sealed row it is a placeholder. Only OpenUser can tell them apart:
	// an id may have any text, a placeholder's too.
	UserText string `db:"external_user_id"`
	// SealedUser is the sealed id; nil: the row is not sealed.
	SealedUser []byte `db:"sealed_user_id"`
}

// OpenUser returns the id of invite id's user, or the mark that replaced it. It
// fails if the id was sealed under a key that is gone, or is damaged.
func (c Columns) OpenUser(box *seal.Box, id invite.ID) (string, error) {
	if c.SealedUser == nil {
		return c.UserText, nil
	}
	plain, err := box.Open(c.SealedUser, place(id))
	if err != nil {
		return "", fmt.Errorf("open external user of invite %s: %w", id, err)
	}
	return string(plain), nil
}

// Hash returns the keyed hash by which a user of a project and mode is looked up.
func Hash(box *seal.Box, place invite.Place, externalUserID string) seal.Hash {
	t := term(externalUserID)
	return box.Hash(t.Kind, t.Parts(place)...)
}

// Hashes returns the same hash under each live key, the primary key's first.
func Hashes(box *seal.Box, place invite.Place, externalUserID string) []seal.Hash {
	t := term(externalUserID)
	return box.Hashes(t.Kind, t.Parts(place)...)
}

func term(externalUserID string) contact.Term {
	return contact.Term{Kind: contact.TermUser, Value: externalUserID}
}

// Seal returns the columns of a sealed row; hash is the Hash of the id.
func Seal(box *seal.Box, id invite.ID, externalUserID string, hash seal.Hash) (Columns, error) {
	sealed, err := box.Seal([]byte(externalUserID), place(id))
	if err != nil {
		return Columns{}, fmt.Errorf("seal external user of invite %s: %w", id, err)
	}
	return Columns{UserText: Placeholder(hash), SealedUser: sealed}, nil
}

// Placeholder is the text in external_user_id of a sealed row. Rows of one user
// have the same one while their hashes are of one key, so SQL can group by it.
// It is never shown to a caller and never compared with what a caller sends.
func Placeholder(hash seal.Hash) string {
	return "sealed:" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(hash))
}

func place(id invite.ID) seal.AD {
	return seal.AD{Column: "invites.sealed_user_id", ID: id.UUID()}
}
