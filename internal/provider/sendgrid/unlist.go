package sendgrid

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/sendgrid/rest"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/wire"
)

// Unlist removes an address from SendGrid's lists of bounced, invalid and
// complaining addresses, so that the next message is not dropped there. An
// address on no list is no error. cleared is false if the API key may not
// change the lists: a key for sending only is the better one to have, and
// then a person removes it by hand.
func (s *Sender) Unlist(ctx context.Context, address secret.Text, kind invite.Block) (cleared bool, err error) {
	for _, list := range listsOf(kind) {
		resp, err := s.remove(ctx, list, address)
		switch {
		case resp == nil || resp.StatusCode == 0:
			// The error quotes the URL, and that the address.
			return false, fmt.Errorf("remove an address from SendGrid's %s: %w", list, wire.Strip(err))
		case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
			return false, nil
		case resp.StatusCode == http.StatusNotFound, resp.StatusCode/100 == 2:
		default:
			return false, classifyError(&provider.SendError{
				Provider: Provider, Outcome: provider.Outcome(wire.ClassifyStatus(resp.StatusCode)), Scope: provider.ScopeAccount, HTTPStatus: resp.StatusCode,
			})
		}
	}
	return true, nil
}

func listsOf(kind invite.Block) []string {
	switch kind {
	case invite.HardBounce:
		return []string{"bounces", "invalid_emails"}
	case invite.SpamReport:
		return []string{"spam_reports"}
	case invite.OptOut, invite.UnsubscribedBlock, invite.BadNumber, invite.NotMe, invite.ByHand:
	}
	return nil // ours alone
}

func (s *Sender) remove(ctx context.Context, list string, address secret.Text) (*rest.Response, error) {
	client := rest.Client{HTTPClient: s.p.HTTP}
	return client.SendWithContext(ctx, rest.Request{
		Method:  rest.Delete,
		BaseURL: s.p.BaseURL + "/v3/suppression/" + list + "/" + url.PathEscape(address.Reveal()),
		Headers: map[string]string{"Authorization": "Bearer " + s.p.APIKey.Reveal(), "Accept": "application/json", "User-Agent": wire.UserAgent()},
	})
}
