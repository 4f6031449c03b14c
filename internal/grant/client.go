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
	KeyID     invite.KeyID // the key that asked for the token, and with which the token ends
	Principal access.Principal
}

// CreateClient makes a client token for an invite that is not over. The token
// is returned here and never again. Errors, as *invite.Error: invite_not_found,
// already_connected, invite_ended.
func (s *Service) CreateClient(ctx context.Context, p access.Principal, id invite.ID) (ClientToken, error) {
	key, err := invite.Parse[invite.KeyID](p.ID)
	if err != nil {
		return ClientToken{}, invite.Errorf(invite.CodeInsufficientScope, "Only an API key can create a client token.")
	}
	token := access.NewClientToken()
	held, err := account.InsertClient(ctx, s.db, p.Place, id, key, secret.Digest(token), clientFor)
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
	return ClientToken{}, invite.Errorf(invite.CodeInviteEnded, "The invite has ended. Resend it, or create another, then request a token.")
}

// AuthenticateClient returns the invite of a client token. Errors, as
// *invite.Error: authentication_required, invalid_api_key.
func (s *Service) AuthenticateClient(ctx context.Context, token secret.Text) (Client, error) {
	if token.IsZero() {
		return Client{}, invite.Errorf(invite.CodeAuthenticationRequired, "Send a client token: Authorization: Bearer clc_….")
	}
	if !access.ValidClientToken(token.Reveal()) {
		return Client{}, invite.Errorf(invite.CodeInvalidAPIKey, "This is not a client token; API keys do not work here and must not be put into apps.")
	}
	c, ok, err := account.FindClient(ctx, s.db, secret.Digest(token))
	if err != nil {
		return Client{}, err
	}
	if !ok {
		return Client{}, invite.Errorf(invite.CodeInvalidAPIKey, "This client token is unknown or has ended. Ask your backend for another.")
	}
	return Client{InviteID: c.InviteID, KeyID: c.KeyID, Principal: access.Principal{
		Kind: access.KindRecipient, ID: ClientID, Place: c.Place, Environment: c.Environment,
	}}, nil
}

// keyRemembered is how long it is believed that a key works, for those who wait
// with a client token: one statement for each key, however many wait.
const keyRemembered = 2 * time.Second

// ClientWorks reports whether the key that asked for a client token still
// works, for requests that were let in a while ago.
func (s *Service) ClientWorks(ctx context.Context, c Client) (bool, error) {
	s.mu.Lock()
	until, ok := s.keys[c.KeyID]
	s.mu.Unlock()
	if ok && s.now().Before(until) {
		return true, nil
	}
	v, err, _ := s.flights.Do("key "+c.KeyID.String(), func() (any, error) {
		return account.IsKeyUsable(context.WithoutCancel(ctx), s.db, c.KeyID)
	})
	if err != nil {
		return false, err
	}
	usable, _ := v.(bool)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !usable {
		delete(s.keys, c.KeyID)
		return false, nil
	}
	if len(s.keys) >= maxRemembered {
		clear(s.keys)
	}
	s.keys[c.KeyID] = s.now().Add(keyRemembered)
	return true, nil
}
