package providertest

import (
	"bytes"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
)

// Callbacks tells the suite how one provider posts.
type Callbacks struct {
	// New makes callbacks that accept what Sign signs.
	New func(t testing.TB) provider.Callbacks
	// Sign signs a post as the provider does: it sets headers, and the URI if that is
	// signed.
	Sign func(t testing.TB, p *provider.Post)
	// Report is an unsigned post of one report on an attempt.
	Report func(inviteID, attemptID string, kind Kind) provider.Post
	// Reply is an unsigned post of a message that a person sent; nil where the provider
	// has none.
	Reply func(from, to, text string) provider.Post
}

// Kind is what a report of the suite is about.
type Kind string

const (
	Delivered Kind = "delivered"
	Refused   Kind = "refused for an unknown reason"
	Unheard   Kind = "of a kind that does not exist yet"
)

// The ids that the suite's posts carry.
const (
	anInvite  = "inv_06h29ndl65o69074oiqm2dtf9k"
	anAttempt = "att_06h29nc9ntsrf32kikd3ak0vbk"
)

// RunCallbacks runs the suite for callbacks.
func RunCallbacks(t *testing.T, c Callbacks) {
	t.Run("a signed post is read", c.reads)
	t.Run("what is not signed is refused", c.forged)
	t.Run("no id is taken from a path that is not signed", c.path)
	t.Run("copies have one key, and other reports another", c.keys)
	t.Run("a kept report reads as it did", c.rereads)
	t.Run("an unknown failure takes no address for dead", c.unknown)
	t.Run("garbage is refused without a panic", c.garbage)
	t.Run("replies", c.replies)
}

func (c Callbacks) signed(t *testing.T, p provider.Post) provider.Post {
	t.Helper()
	if p.Header == nil {
		p.Header = http.Header{}
	}
	c.Sign(t, &p)
	return p
}

func (c Callbacks) read(t *testing.T, kind Kind) (provider.Callbacks, provider.Report) {
	t.Helper()
	callbacks := c.New(t)
	p := c.signed(t, c.Report(anInvite, anAttempt, kind))
	if err := callbacks.Verify(p); err != nil {
		t.Fatalf("%s: a signed post is refused: %v", kind, err)
	}
	reports, err := callbacks.Reports(p)
	if err != nil || len(reports) != 1 {
		t.Fatalf("%s: %d reports, %v", kind, len(reports), err)
	}
	return callbacks, reports[0]
}

func (c Callbacks) reads(t *testing.T) {
	t.Parallel()
	_, r := c.read(t, Delivered)
	if r.Status != invite.Delivered || r.Reason != "" || r.Channel == "" || r.InviteID != anInvite || r.AttemptID != anAttempt {
		t.Errorf("%+v, want a delivery of the attempt", r)
	}
	if _, r := c.read(t, Unheard); r.Status != "" || r.Key == "" || len(r.Raw) == 0 {
		t.Errorf("a report of a new kind is read as %q", r.Status)
	}
}

func (c Callbacks) forged(t *testing.T) {
	t.Parallel()
	callbacks := c.New(t)
	p := c.signed(t, c.Report(anInvite, anAttempt, Delivered))
	for name, change := range map[string]func(*provider.Post){
		"without headers": func(p *provider.Post) { p.Header = http.Header{} },
		"another body":    func(p *provider.Post) { p.Raw = bytes.Replace(p.Raw, []byte("elivered"), []byte("elevered"), 1) },
		"a longer body":   func(p *provider.Post) { p.Raw = append(slices.Clone(p.Raw), ' ') },
		"an empty body":   func(p *provider.Post) { p.Raw = nil },
	} {
		forged := p
		forged.Header = p.Header.Clone()
		change(&forged)
		if err := callbacks.Verify(forged); err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
	for header := range p.Header {
		forged := p
		forged.Header = p.Header.Clone()
		if strings.EqualFold(header, "Content-Type") {
			continue
		}
		forged.Header.Set(header, "x"+forged.Header.Get(header))
		if err := callbacks.Verify(forged); err == nil {
			t.Errorf("another %s: it was taken", header)
		}
	}
}

// path: who can post to one address must not report on another's attempt.
func (c Callbacks) path(t *testing.T) {
	t.Parallel()
	callbacks := c.New(t)
	const other = "att_06h29ndl1rtf4o2fqhp6tkkog0"
	p := c.signed(t, c.Report(anInvite, anAttempt, Delivered))
	p.RequestURI = strings.ReplaceAll(p.RequestURI, anAttempt, other)
	p.AttemptID = other
	if callbacks.Verify(p) != nil {
		return // the path is signed
	}
	reports, err := callbacks.Reports(p)
	if err != nil || len(reports) != 1 || reports[0].AttemptID == other {
		t.Errorf("%+v, %v: the attempt of the path is believed", reports, err)
	}
}

func (c Callbacks) keys(t *testing.T) {
	t.Parallel()
	_, first := c.read(t, Delivered)
	_, again := c.read(t, Delivered)
	_, other := c.read(t, Refused)
	if first.Key == "" || first.Key != again.Key || first.Key == other.Key {
		t.Errorf("keys %q, %q of a copy, %q of another report", first.Key, again.Key, other.Key)
	}
}

func (c Callbacks) rereads(t *testing.T) {
	t.Parallel()
	for _, kind := range []Kind{Delivered, Refused, Unheard} {
		callbacks, first := c.read(t, kind)
		again, err := callbacks.Reread(first.Raw)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if again.InviteID == "" && again.AttemptID == "" {
			again.InviteID, again.AttemptID = first.InviteID, first.AttemptID // of the path, kept beside
		}
		first.ForRecipient, again.ForRecipient = nil, nil
		if !reflect.DeepEqual(first, again) {
			t.Errorf("%s: first %+v, then %+v", kind, first, again)
		}
	}
}

func (c Callbacks) unknown(t *testing.T) {
	t.Parallel()
	_, r := c.read(t, Refused)
	if !r.Status.DidNotArrive() || r.Reason == "" || r.Code == "" {
		t.Errorf("%+v, want a failure with its code", r)
	}
	if block, blocks := invite.BlockOf(r.Status, r.Reason); blocks {
		t.Errorf("an unknown failure suppresses the address as %q", block)
	}
}

func (c Callbacks) garbage(t *testing.T) {
	t.Parallel()
	callbacks := c.New(t)
	for _, raw := range []string{"", "x", "{", "[", "null", "[null", `{"a":`, "%zz", "\x00", "7", `"text"`} {
		p := c.signed(t, c.Report(anInvite, anAttempt, Delivered))
		p.Raw = []byte(raw)
		if reports, err := callbacks.Reports(p); err == nil && len(reports) > 0 && reports[0].Status != "" {
			t.Errorf("%q is read as %+v", raw, reports)
		}
		if r, err := callbacks.Reread(p.Raw); err == nil && r.Status != "" {
			t.Errorf("%q is reread as %+v", raw, r)
		}
		if replies, err := callbacks.Replies(p); err == nil && len(replies) > 0 {
			t.Errorf("%q is read as replies %+v", raw, replies)
		}
	}
}

func (c Callbacks) replies(t *testing.T) {
	t.Parallel()
	callbacks := c.New(t)
	if c.Reply == nil {
		if _, err := callbacks.Replies(c.signed(t, c.Report(anInvite, anAttempt, Delivered))); err == nil {
			t.Error("a report is taken for a reply")
		}
		return
	}
	const from, to = "+12025550123", "+15005550006"
	keys := map[string]bool{}
	for text, want := range map[string]provider.Keyword{"Stop.": provider.Stop, "START": provider.Start, "help": provider.Help, "who is this?": "", "don't stop": ""} {
		p := c.signed(t, c.Reply(from, to, text))
		if err := callbacks.Verify(p); err != nil {
			t.Fatalf("%q: a signed post is refused: %v", text, err)
		}
		replies, err := callbacks.Replies(p)
		if err != nil || len(replies) != 1 {
			t.Fatalf("%q: %d replies, %v", text, len(replies), err)
		}
		r := replies[0]
		if r.Keyword != want || r.From.Reveal() != from || !slices.Contains(r.To, to) || r.Body.Reveal() != text || r.Key == "" || keys[r.Key] {
			t.Errorf("%q: keyword %q, to %v, key %q", text, r.Keyword, r.To, r.Key)
		}
		if r.LikeStop != (text == "don't stop") {
			t.Errorf("%q: like a stop word: %v", text, r.LikeStop)
		}
		if shown := fmt.Sprintf("%v %+v %s", r.From, r.Body, r.From); strings.Contains(shown, text) || strings.Contains(shown, from) {
			t.Errorf("%q: a reply prints what the person wrote: %s", text, shown)
		}
		keys[r.Key] = true
	}
}
