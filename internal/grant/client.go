package grant

import (
	"context"
	"time"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/account"
)

// clientFor is the longest a client token works; it ends with its invite if
// that is sooner. An app that is opened later asks its backend for another.
const clientFor = 24 * time.Hour

// ClientID marks what the holder of a client token does: the recipient did
// it, in the product's own app.
const ClientID = "client"

// ClientToken is what a product hands to its own app for one invite.
type ClientToken struct {
	Token     secret.Text
	ExpiresAt time.Time
}

// Client is the holder of a client token.
type Client struct {
	InviteID  invite.ID
	Principal access.Principal
}

// CreateClient makes a client token for an invite that is not over. The token
// is returned here and never again. Errors, as *invite.Error: invite_not_found,
// already_connected, invite_ended.
func (s *Service) CreateClient(ctx context.Context, p access.Principal, id invite.ID) (ClientToken, error) {
	key, err := invite.Parse[invite.KeyID](p.ID)
	if err != nil {
		return ClientToken{}, invite.Errorf(invite.CodeInsufficientScope, "Only the holder of an API key can make a client token.")
	}
	token := access.NewClientToken()
	held, err := account.InsertClient(ctx, s.db, p.ProjectID, p.Livemode, id, key, access.Digest(token), clientFor)
	switch {
	case err != nil:
		return ClientToken{}, err
	case held.ExpiresAt != nil:
		return ClientToken{Token: token, ExpiresAt: held.ExpiresAt.UTC()}, nil
	case !held.Exists:
		return ClientToken{}, invite.Errorf(invite.CodeInviteNotFound, "No invite of this key's project and mode has this id.")
	case held.Status == invite.Connected:
		return ClientToken{}, &invite.Error{Code: invite.CodeAlreadyConnected, Message: "The account is connected; there is nothing left for an app to do.", ExistingID: id}
	}
	return ClientToken{}, invite.Errorf(invite.CodeInviteEnded, "The invite is over. Resend it, or make another, and then ask for a token.")
}

// AuthenticateClient says which invite a client token is for. Errors, as
// *invite.Error: authentication_required, invalid_api_key.
func (s *Service) AuthenticateClient(ctx context.Context, token secret.Text) (Client, error) {
	if token.IsZero() {
		return Client{}, invite.Errorf(invite.CodeAuthenticationRequired, "Send a client token: Authorization: Bearer clc_….")
	}
	if !access.ValidClientToken(token.Reveal()) {
		return Client{}, invite.Errorf(invite.CodeInvalidAPIKey, "This is not a client token; API keys do not work here, and belong into no app.")
	}
	c, ok, err := account.FindClient(ctx, s.db, access.Digest(token))
	if err != nil {
		return Client{}, err
	}
	if !ok {
		return Client{}, invite.Errorf(invite.CodeInvalidAPIKey, "This client token is unknown or has ended. Ask your backend for another.")
	}
	return Client{InviteID: c.InviteID, Principal: access.Principal{
		Kind: access.KindRecipient, ID: ClientID, ProjectID: c.ProjectID, Livemode: c.Livemode, Environment: c.Environment,
	}}, nil
}
