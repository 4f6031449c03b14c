package account

import (
	"encoding/json"
	"fmt"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
)

// Person is who an account belongs to. It is personal: it stands sealed, and
// neither in a log nor in the audit log.
type Person struct {
	Name  string `json:"name"`
	Email string `json:"email"`
	// EmailVerified: the issuer says that the address is the person's. It is false for local
	// accounts, whose address an administrator entered.
	EmailVerified bool `json:"email_verified,omitempty"`
}

const profileColumn = "staff.profile"

// Seal returns the sealed form in which a person stands with their account.
func (p Person) Seal(box *seal.Box, id invite.StaffID) ([]byte, error) {
	plain, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode profile of staff %s: %w", id, err)
	}
	b, err := box.Seal(plain, seal.AD{Column: profileColumn, ID: id.UUID()})
	if err != nil {
		return nil, fmt.Errorf("seal profile of staff %s: %w", id, err)
	}
	return b, nil
}

// Person opens the sealed profile; ok is false where no key opens it.
func (s Staff) Person(box *seal.Box) (p Person, ok bool) {
	plain, err := box.Open(s.Profile, seal.AD{Column: profileColumn, ID: s.ID.UUID()})
	if err != nil || json.Unmarshal(plain, &p) != nil {
		return Person{}, false
	}
	return p, true
}
