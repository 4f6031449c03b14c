package twilio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/connectlink/connectlink/internal/wire"
)

// ErrMayNotRead: Messaging Services cannot be read with this API key at this base
// URL. A restricted key, which may only send, is the better one to have.
var ErrMayNotRead = errors.New("the API key may not read Messaging Services here")

// CheckService reads the Messaging Service and its senders: that it exists, is
// this account's, and has a sender for text messages. Without a configured
// Messaging Service nothing is checked. Errors: ErrMayNotRead, a
// *provider.SendError, and words of its own. See
// https://www.twilio.com/docs/messaging/api/service-resource.
func (s *Sender) CheckService(ctx context.Context) error {
	id := s.p.MessagingServiceSID
	if id == "" {
		return nil
	}
	if !isSID(id) || !strings.HasPrefix(id, "MG") {
		return fmt.Errorf("%s: the Messaging Service's SID must begin with MG", Provider)
	}
	var service struct {
		SID     string `json:"sid"`
		Account string `json:"account_sid"`
	}
	switch status, err := s.read(ctx, "/v1/Services/"+id, &service); {
	case status == http.StatusNotFound && !errors.Is(err, ErrMayNotRead):
		return fmt.Errorf("%s: there is no Messaging Service with this SID in this account", Provider)
	case err != nil:
		return err
	case service.SID != id || service.Account != s.p.AccountSID:
		return fmt.Errorf("%s: the Messaging Service belongs to another account", Provider)
	}
	senders, texting := 0, 0
	for _, list := range []string{"PhoneNumbers", "ShortCodes", "AlphaSenders"} {
		var page struct {
			Numbers []capable `json:"phone_numbers"`
			Short   []capable `json:"short_codes"`
			Alpha   []capable `json:"alpha_senders"`
		}
		if _, err := s.read(ctx, "/v1/Services/"+id+"/"+list+"?PageSize=100", &page); err != nil {
			return err
		}
		for _, one := range slices.Concat(page.Numbers, page.Short, page.Alpha) {
			senders++
			if one.texts() {
				texting++
			}
		}
	}
	switch {
	case senders == 0:
		return fmt.Errorf("%s: the Messaging Service has no sender", Provider)
	case texting == 0:
		return fmt.Errorf("%s: none of the Messaging Service's %d senders can send text messages", Provider, senders)
	}
	return nil
}

// capable is a sender of a Messaging Service.
type capable struct {
	Capabilities []string `json:"capabilities"`
}

// texts reports whether the sender is not known to lack text messages.
func (c capable) texts() bool {
	return len(c.Capabilities) == 0 || slices.ContainsFunc(c.Capabilities, func(s string) bool { return strings.EqualFold(s, "SMS") })
}

// read gets a resource of the API of Messaging Services.
func (s *Sender) read(ctx context.Context, path string, out any) (status int, err error) {
	p := s.p
	p.BaseURL = messagingURL(p.BaseURL)
	c := &call{ctx: ctx, p: &p}
	path, query, _ := strings.Cut(path, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return 0, err
	}
	resp, err := c.SendRequest(http.MethodGet, path, values, nil)
	switch {
	case c.status == http.StatusUnauthorized, c.status == http.StatusForbidden, c.status == http.StatusNotFound && c.fault.Code == 0:
		// The last: something in between, or a stand-in, that has no such API.
		return c.status, fmt.Errorf("%s: %w", Provider, ErrMayNotRead)
	case err != nil:
		return c.status, s.lookupError(c, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return c.status, fmt.Errorf("%s: the answer is not a Messaging Service: %w", Provider, wire.Strip(err))
	}
	return c.status, nil
}

// messagingURL is where Messaging Services are read: at a host of their own
// beside the API's, in each region. A stand-in serves both.
func messagingURL(base string) string {
	u, err := url.Parse(base)
	if err != nil || !strings.HasPrefix(u.Hostname(), "api.") || !strings.HasSuffix(u.Hostname(), ".twilio.com") {
		return base
	}
	u.Host = "messaging." + strings.TrimPrefix(u.Host, "api.")
	return u.String()
}
