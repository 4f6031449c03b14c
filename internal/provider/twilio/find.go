package twilio

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/mail"
	"net/url"
	"strings"
	"time"

	openapi "github.com/twilio/twilio-go/rest/api/v2010"

	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/wire"
)

const (
	pageSize = 100
	maxPages = 10
	// clockSlack is allowed between our start of the call and Twilio's date of
	// the message, after the clocks are compared: dates have whole seconds.
	clockSlack = 5 * time.Second
)

var (
	errNothingSought = errors.New("nothing to look for: recipient, body and start are needed")
	errNotList       = errors.New("the answer is not a list of messages")
	// ErrTooMany: the recipient got more texts than are looked through, so that
	// not finding one says nothing.
	ErrTooMany = errors.New("too many messages to this recipient to be sure that one is missing")
)

// Find looks for a text whose answer was lost in the list of messages to its
// recipient. The list is asked for without dates: those are of sending, and a
// text in a queue has none.
//
// A Found that is not Taken may be believed only after Proof's settle time. An
// error says nothing either way.
func (s *Sender) Find(ctx context.Context, sought provider.Sought) (provider.Found, error) {
	if sought.To.IsZero() || sought.Body.IsZero() || sought.StartedAt.IsZero() {
		return provider.Found{}, errNothingSought
	}
	params := new(openapi.ListMessageParams).SetTo(sought.To.Reveal()).SetPageSize(pageSize)
	var token, number string
	for range maxPages {
		api, c := s.begin(ctx)
		page, err := api.PageMessage(params, token, number)
		if err != nil {
			return provider.Found{}, s.lookupError(c, err)
		}
		if page.Messages == nil {
			// JSON, but no list: it must not read as an empty one.
			return provider.Found{}, fmt.Errorf("%s: %w", Provider, errNotList)
		}
		since := sought.StartedAt.Add(s.skew(c.header) - clockSlack)
		older := 0
		for i := range page.Messages {
			switch one := &page.Messages[i]; {
			case isBefore(one, since):
				older++
			case matchesSought(one, sought):
				return provider.Found{Taken: true, ProviderMessageID: textOf(one.Sid), Status: textOf(one.Status)}, nil
			}
		}
		var more bool
		if token, number, more = nextPage(page.NextPageUri); !more {
			return provider.Found{}, nil
		}
		// Newest come first, though that is not promised; a whole page of older
		// ones leaves no doubt.
		if len(page.Messages) > 0 && older == len(page.Messages) {
			return provider.Found{}, nil
		}
	}
	return provider.Found{}, ErrTooMany
}

// skew is how far Twilio's clock is ahead of ours, by the answer's Date.
func (s *Sender) skew(h http.Header) time.Duration {
	theirs, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	// A Date has whole seconds and is as old as the answer's way; only more than
	// that is skew.
	d := theirs.Sub(s.p.Now())
	if d.Abs() < 3*time.Second {
		return 0
	}
	return d
}

// matchesSought compares body and direction. Twilio may keep another body than it was
// given (smart encoding replaces characters, a trial account prepends words),
// but the link in it is this delivery's own.
func matchesSought(m *openapi.ApiV2010Message, sought provider.Sought) bool {
	if strings.HasPrefix(textOf(m.Direction), "inbound") {
		return false
	}
	body, want := textOf(m.Body), sought.Body.Reveal()
	if body == want {
		return true
	}
	link := linkIn(want)
	for link != "" {
		_, rest, found := strings.Cut(body, link)
		if !found {
			return false
		}
		if rest == "" || !strings.ContainsRune(linkRunes, rune(rest[0])) {
			return true
		}
		body = rest // a longer link that begins like ours is another's
	}
	return false
}

// linkRunes are what a link could go on with.
const linkRunes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_~%/?#&=+@"

// linkIn returns the first URL of a text.
func linkIn(text string) string {
	i := strings.Index(text, "https://")
	if i < 0 {
		i = strings.Index(text, "http://")
	}
	if i < 0 {
		return ""
	}
	link := text[i:]
	if end := strings.IndexAny(link, " \n\r\t"); end >= 0 {
		link = link[:end]
	}
	return strings.TrimRight(link, ".,;:!?)")
}

// isBefore reports whether a message was made before the call. One with an
// unreadable date was not: its body is compared, which errs on the side of
// "taken".
func isBefore(m *openapi.ApiV2010Message, since time.Time) bool {
	at, err := mail.ParseDate(textOf(m.DateCreated))
	return err == nil && at.Before(since)
}

// nextPage reads where the following page is. Only its two members are taken from
// the address Twilio gives: requests go to the configured base URL alone.
func nextPage(uri *string) (token, number string, more bool) {
	if uri == nil || *uri == "" {
		return "", "", false
	}
	u, err := url.Parse(*uri)
	if err != nil {
		return "", "", false
	}
	q := u.Query()
	token, number = q.Get("PageToken"), q.Get("Page")
	return token, number, token != "" || number != ""
}

func textOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func (s *Sender) lookupError(c *call, err error) error {
	if errors.Is(err, errAnswered) {
		return s.verdict(c)
	}
	return fmt.Errorf("%s: %w", Provider, wire.Strip(err))
}

var errBadSID = errors.New("not a message SID")

// Redact empties the body of a message that has ended, which is where Twilio
// would keep the link for over a year. A message that is gone is as good.
func (s *Sender) Redact(ctx context.Context, providerMessageID string) error {
	if !isSID(providerMessageID) {
		return errBadSID
	}
	api, c := s.begin(ctx)
	_, err := api.UpdateMessage(providerMessageID, new(openapi.UpdateMessageParams).SetBody(""))
	switch {
	case err == nil, c.status == http.StatusNotFound:
		return nil
	case c.status >= 200 && c.status < 300:
		return nil // done; only the answer's body could not be read
	default:
		return s.redactError(c, err)
	}
}

// Remove deletes the record of a message that has ended, and with it the
// number it went to. A record that is gone is as good.
func (s *Sender) Remove(ctx context.Context, providerMessageID string) error {
	if !isSID(providerMessageID) {
		return errBadSID
	}
	api, c := s.begin(ctx)
	err := api.DeleteMessage(providerMessageID, &openapi.DeleteMessageParams{})
	switch {
	case err == nil, c.status == http.StatusNotFound:
		return nil
	case c.status >= 200 && c.status < 300:
		return nil
	default:
		return s.redactError(c, err)
	}
}

// redactError adds that a message is still on its way, where Twilio says so: with
// 409 and code 20009, documented for deleting one
// (https://www.twilio.com/docs/api/errors/20009).
func (s *Sender) redactError(c *call, err error) error {
	err = s.lookupError(c, err)
	if c.status == http.StatusConflict || c.fault.Code == codeStillSending {
		return fmt.Errorf("%w: %w", provider.ErrStillSending, err)
	}
	return err
}

// Check reads the account, which proves base URL and credentials. It answers
// with an error for an account that is suspended or closed.
func (s *Sender) Check(ctx context.Context) error {
	api, c := s.begin(ctx)
	account, err := api.FetchAccount(s.p.AccountSID)
	if err != nil {
		return s.lookupError(c, err)
	}
	if status := textOf(account.Status); status != "active" {
		return fmt.Errorf("%s: the account is not active", Provider)
	}
	return nil
}

// isSID keeps anything but an identifier out of the path.
func isSID(s string) bool {
	if len(s) < 3 || len(s) > 64 {
		return false
	}
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9') {
			return false
		}
	}
	return true
}
