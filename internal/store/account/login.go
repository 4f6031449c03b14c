package account

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
)

// Login is what an account is found by: issuer and subject of an issuer's person, the
// address of a local account, the name of a link's.
type Login struct {
	Kind    string `json:"kind"`
	Issuer  string `json:"issuer,omitempty"`
	Subject string `json:"subject"`
}

// NewLogin returns a login in the form that is hashed: local ones ignore case.
func NewLogin(kind, issuer, subject string) Login {
	if kind != ByIssuer {
		issuer, subject = "", strings.ToLower(strings.TrimSpace(subject))
	}
	return Login{kind, issuer, subject}
}

// Hashes returns the keyed hashes of a login, one per live key, the primary key's first.
func (l Login) Hashes(box *seal.Box) []seal.Hash {
	return box.Hashes("staff", l.Kind, l.Issuer, l.Subject)
}

// Seal returns the sealed copy that is stored beside the hash.
func (l Login) Seal(box *seal.Box, id invite.StaffID) ([]byte, error) {
	plain, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("encode login of staff %s: %w", id, err)
	}
	sealed, err := box.Seal(plain, seal.AD{Column: LoginColumn, ID: id.UUID()})
	if err != nil {
		return nil, fmt.Errorf("seal login of staff %s: %w", id, err)
	}
	return sealed, nil
}

// LoginColumn is the place of the sealed copy.
const LoginColumn = "staff.login"
