package console

import (
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console/story"
	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/find"
)

// opened is an invite with its personal data, which this package masks. Content
// reaches a page only through masked or package unmask.
type opened struct {
	find.Invite
	content invite.Content
	user    string // the external user; empty where it cannot be opened
	wide    bool   // addresses show their domain
}

func (p *page) open(inv find.Invite) (opened, error) {
	c, err := find.Open(p.Box, inv.ID, inv.Content)
	user, failed := inv.OpenUser(p.Box, inv.ID)
	if failed != nil {
		p.Log.WarnContext(p.ctx(), "the external user of an invite does not open", "invite", inv.ID.String(), "err", failed)
	}
	return opened{inv, c, user, p.by.May(access.ActUnmask)}, err
}

// maskedUser is the product's id of an invite's user as pages show it.
func (p *page) maskedUser(o opened) string {
	if o.user == "" {
		return p.t("No longer readable")
	}
	return story.MaskText(o.user)
}

// erased reports whether nothing personal is left.
func (o opened) erased() bool { return o.Content == nil }

// masked is the address in a field as the role of the reader may see it without
// asking.
func (o opened) masked(f invite.Field) string {
	return maskAddress(f, f.Of(o.content.Recipient), o.wide)
}

// maskAddress hides an address or a number. Wide shows the domain of an address:
// who may unmask one address after the other sees the company at once.
func maskAddress(f invite.Field, address string, wide bool) string {
	if wide && f == invite.FieldEmail && address != "" {
		return contact.MaskLocal(address)
	}
	return contact.Mask(f, address)
}

// to is where the latest message went, masked; of an invite without one, the
// address there is.
func (o opened) to() string {
	c := o.Channel
	if o.DeliveryChannel != nil {
		c = invite.Channel(*o.DeliveryChannel)
	}
	for _, f := range append([]invite.Field{c.Spec().Field}, invite.Fields()...) {
		if m := o.masked(f); m != "" {
			return m
		}
	}
	return ""
}

// row is an invite in a list.
func (p *page) row(inv find.Invite) (inviteRow, error) {
	o, err := p.open(inv)
	if err != nil {
		// What no key opens must not take the other rows with it.
		p.Log.WarnContext(p.ctx(), "an invite that is listed does not open", "invite", inv.ID.String(), "err", err)
		o = opened{Invite: inv, user: o.user}
	}
	r := inviteRow{
		ID: inv.ID.String(), URL: p.frame.URL("invites", inv.ID.String()), To: o.to(), Name: story.MaskName(o.content.Recipient.Name),
		App: inv.AppName, Mark: p.mark(inv), User: p.maskedUser(o), Badge: p.badge(inv), Channel: p.channel(inv.Channel), Created: inv.CreatedAt,
	}
	switch {
	case err != nil:
		r.To = p.t("No longer readable")
	case r.To == "":
		r.To = p.t("No address")
	}
	// The link of a message that did not arrive works all the same.
	if inv.ExpiresAt != nil && (inv.Status.Open() || inv.Status == invite.Failed && inv.ExpiresAt.After(inv.Now)) {
		r.Ends = *inv.ExpiresAt
	}
	if inv.DeliveryReason != nil {
		if e, ok := invite.ExplainDelivery(invite.Reason(*inv.DeliveryReason), invite.DeliveryStatus(*inv.DeliveryStatus)); ok {
			r.News = p.t(e.Title)
		}
	}
	return r, nil
}

func (p *page) channel(c invite.Channel) string { return story.ChannelName(p.frame, c) }

// badge is where an invite stands, in a word: of an open one, what became of
// message and person.
func (p *page) badge(inv find.Invite) view.Badge {
	switch inv.Status {
	case invite.Connected:
		return view.Badge{Kind: "good", Icon: "plug", Text: p.t("Connected")}
	case invite.Expired:
		return view.Badge{Kind: "warn", Icon: "clock", Text: p.t("Expired")}
	case invite.Revoked:
		return view.Badge{Kind: "calm", Icon: "x", Text: p.t("Revoked")}
	case invite.Scheduled:
		return view.Badge{Kind: "calm", Icon: "clock", Text: p.t("Scheduled")}
	case invite.Pending, invite.Active, invite.Failed:
	}
	switch inv.Progress {
	case invite.ConnectFailed:
		return view.Badge{Kind: "bad", Icon: "plug", Text: p.t("Failed to connect")}
	case invite.Continued:
		return view.Badge{Kind: "busy", Icon: "external", Text: p.t("At Pipedream")}
	case invite.Visited:
		return view.Badge{Kind: "busy", Icon: "eye", Text: p.t("Opened")}
	case invite.NotOpened:
	}
	if inv.DeliveryStatus == nil {
		return view.Badge{Kind: "calm", Icon: "link", Text: p.t("Link created")}
	}
	return p.messageBadge(invite.DeliveryStatus(*inv.DeliveryStatus))
}

func (p *page) messageBadge(s invite.DeliveryStatus) view.Badge {
	switch s {
	case invite.Queued:
		return view.Badge{Kind: "busy", Icon: "clock", Text: p.t("Waiting")}
	case invite.Sending:
		return view.Badge{Kind: "busy", Icon: "send", Text: p.t("Sending")}
	case invite.Accepted, invite.Sent:
		return view.Badge{Kind: "busy", Icon: "send", Text: p.t("Sent")}
	case invite.Deferred:
		return view.Badge{Kind: "warn", Icon: "clock", Text: p.t("Delayed")}
	case invite.Delivered:
		return view.Badge{Kind: "good", Icon: "check", Text: p.t("Delivered")}
	case invite.Bounced:
		return view.Badge{Kind: "bad", Icon: "alert", Text: p.t("Bounced")}
	case invite.Undelivered:
		return view.Badge{Kind: "bad", Icon: "alert", Text: p.t("Not delivered")}
	case invite.Rejected:
		return view.Badge{Kind: "bad", Icon: "ban", Text: p.t("Rejected")}
	case invite.Suppressed:
		return view.Badge{Kind: "bad", Icon: "ban", Text: p.t("Blocked")}
	case invite.Complained:
		return view.Badge{Kind: "bad", Icon: "flag", Text: p.t("Marked as spam")}
	case invite.Canceled:
		return view.Badge{Kind: "calm", Icon: "x", Text: p.t("Cancelled")}
	case invite.Unknown:
	}
	return view.Badge{Kind: "warn", Icon: "help", Text: p.t("Unknown")}
}

// situation is an invite as package story needs it.
func (p *page) situation(o opened, events []find.Event) (story.Situation, error) {
	account, err := p.accountName(o.Invite)
	if err != nil {
		return story.Situation{}, err
	}
	s := story.Situation{
		Status: o.Status, Progress: o.Progress, Channel: o.Channel, App: o.AppName, To: o.to(), Now: o.Now, Account: account,
		SendAt: orZero(o.SendAt), ExpiresAt: orZero(o.ExpiresAt), OpenUntil: orZero(o.OpenUntil), Connected: orZero(o.ConnectedAt),
		EndedAt: orZero(o.RevokedAt), Replaced: !o.ReplacedBy.IsZero(), Erased: o.erased(),
	}
	if s.To == "" {
		s.To = p.t("the recipient")
	}
	if o.Status == invite.Expired {
		s.EndedAt = orZero(o.ExpiresAt)
	}
	if o.DeliveryStatus != nil {
		s.Message = &story.Message{
			ID: o.DeliveryID, Status: invite.DeliveryStatus(*o.DeliveryStatus), Channel: invite.Channel(*o.DeliveryChannel),
			Reason: invite.Reason(*o.DeliveryReason), At: orZero(o.DeliveryUpdated), Began: orZero(o.DeliveryCreated),
		}
	}
	s.ProgressAt = o.UpdatedAt
	for _, e := range events {
		if reached, ok := story.PersonReached(e.Type, e.Data); ok {
			s.SeenAt = e.OccurredAt
			if reached == o.Progress {
				s.ProgressAt = e.OccurredAt
			}
		}
		switch e.Type {
		case invite.EventDeliveryQueued:
			if s.Message != nil && e.DeliveryID == o.DeliveryID {
				s.Message.Reminder = e.Data.Kind == invite.KindReminder
			}
		case invite.EventReported:
			s.Reported = true
		case invite.EventReportWithdrawn:
			s.Reported = false
		case invite.EventExpired:
			if o.Status == invite.Expired {
				s.EndedAt = e.OccurredAt
			}
		}
	}
	return s, nil
}

// standing is the badge of an invite whose events are known: of a message that
// was asked for after the person's last step, what became of it.
func (p *page) standing(o opened, s story.Situation) view.Badge {
	open := o.Status == invite.Pending || o.Status == invite.Active || o.Status == invite.Failed
	if open && s.Newer() {
		return p.messageBadge(s.Message.Status)
	}
	return p.badge(o.Invite)
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// tabTitle names an invite in the browser's tab and history, which others may see:
// the person is masked there for every role.
func (p *page) tabTitle(o opened, status string) string {
	return strings.Join([]string{p.personName(o), o.AppName, status}, " – ")
}

// personName names the person of an invite, masked: by name, else by address.
func (p *page) personName(o opened) string {
	if name := story.MaskName(o.content.Recipient.Name); name != "" {
		return name
	}
	if to := o.to(); to != "" {
		return to
	}
	return p.t("Invite")
}
