package app_test

import (
	"regexp"
	"testing"

	"github.com/connectlink/connectlink/internal/access"
)

// The link of a message that came back works, and the list says until when.
func TestTheListSaysWhenAFailedInvitesLinkEnds(t *testing.T) {
	t.Parallel()
	p := start(t, boot{})
	id := p.invite(201, to("bounced@connectlink.test")).text("id")
	p.until(id, "bounced", func(inv object) bool { return inv.text("status") == "failed" })
	ends := regexp.MustCompile(`data-label="Expires"><time [^>]*>(in 3 h 59 min|in 4 hours)</time>`)
	if page := p.staff(access.RoleViewer).get("/console/default/test/invites"); !ends.MatchString(page) {
		t.Error("the list does not say when it ends")
	}
}
