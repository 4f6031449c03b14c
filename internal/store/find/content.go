package find

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
)

// Open decrypts an invite's content; the zero Content once it was erased.
func Open(box *seal.Box, id invite.ID, sealed []byte) (invite.Content, error) {
	var c invite.Content
	if sealed == nil {
		return c, nil
	}
	plain, err := box.Open(sealed, seal.AD{Column: "invites.content", ID: id.UUID()})
	if err != nil {
		return c, fmt.Errorf("open content of invite %s: %w: %w", id, ErrUnreadable, err)
	}
	if err := json.Unmarshal(plain, &c); err != nil {
		return c, fmt.Errorf("decode content of invite %s: %w: not the JSON that was stored", id, ErrUnreadable)
	}
	return c, nil
}

// ErrUnreadable means that a sealed value cannot be opened: it was cut off, or
// its key is no longer in the keyset.
var ErrUnreadable = errors.New("cannot be opened with this keyset")
