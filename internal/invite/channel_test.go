package invite_test

import (
	"slices"
	"testing"

	"github.com/connectlink/connectlink/internal/invite"
)

// A row that leaves something out would be taken for another channel's.
func TestEveryChannelIsComplete(t *testing.T) {
	t.Parallel()
	r := invite.Recipient{Email: "pat@customer.example", Phone: "+12025550100"}
	seen := map[invite.Channel]bool{}
	for _, s := range invite.Specs() {
		if s.Channel == "" || seen[s.Channel] || s.Channel == invite.LinkOnly {
			t.Errorf("a row of %q", s.Channel)
		}
		seen[s.Channel] = true
		if !slices.Contains(invite.Fields(), s.Field) || r.Address(s.Channel) == "" || s.Field.Channel() == "" {
			t.Errorf("%s has the field %q", s.Channel, s.Field)
		}
		if s.Form != invite.FormMail && s.Form != invite.FormText || s.ReportWithin <= 0 {
			t.Errorf("%s has the form %q, and reports within %v", s.Channel, s.Form, s.ReportWithin)
		}
		if got := s.Channel.Spec(); got != s || !s.Channel.Sends() {
			t.Errorf("%s is looked up as %v", s.Channel, got)
		}
		if other := s.Channel.Other(); other == s.Channel || !other.Sends() {
			t.Errorf("%s falls back to %q", s.Channel, other)
		}
	}
}

func TestNothingIsSentByALink(t *testing.T) {
	t.Parallel()
	r := invite.Recipient{Email: "pat@customer.example", Phone: "+12025550100"}
	for _, c := range []invite.Channel{invite.LinkOnly, "", "fax"} {
		if c.Sends() || c.Spec() != (invite.Spec{}) || r.Address(c) != "" || slices.Contains(invite.Channels(), c) {
			t.Errorf("%q is a channel of messages", c)
		}
	}
	if all := invite.AllChannels(); !slices.Contains(all, invite.LinkOnly) || len(all) != len(invite.Channels())+1 {
		t.Errorf("all channels: %v", all)
	}
}
