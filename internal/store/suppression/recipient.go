package suppression

import (
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
)

// Recipient is where a message of an invite goes.
type Recipient struct {
	invite.Place

	InviteID invite.ID
	Channel  invite.Channel
	// Provider sent the message that carried the link; empty when it is not known.
	Provider string
	To       secret.Text
	// OptOut: a block is to stop all texts of this sender, as the reply STOP does,
	// and not what one invite was about.
	OptOut bool
}
