package issue

import (
	"time"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
)

// maxAhead is how far in the future a message may be planned.
const maxAhead = 30 * 24 * time.Hour

// later parses the options with a time other than now.
func (o *order) later(f *faults, r CreateRequest, p access.Principal, project config.Project, now time.Time) {
	if r.SendAt != nil {
		switch ahead := r.SendAt.Sub(now); {
		case o.channel == invite.LinkOnly:
			f.add("/send_at", invite.FaultNotAllowed, "with channel link nothing is sent")
		case ahead <= 0:
			f.add("/send_at", invite.FaultOutOfRange, "must lie in the future")
		case ahead > maxAhead:
			f.add("/send_at", invite.FaultOutOfRange, "must be within %d days", int(maxAhead.Hours()/24))
		}
		o.sendAt = r.SendAt.UTC()
	}
	o.reminders = o.remindsOf(f, r.Reminders, project)
	if r.Fallback != nil {
		o.fallback = o.fallsBack(f, *r.Fallback, p, project)
	}
}

// remindsOf is how often to remind. A project's default does not apply where
// there could be none: without a message, and without a page of ours, which is
// where people say that they want no more.
func (o *order) remindsOf(f *faults, r *RemindersRequest, project config.Project) int {
	cannot := ""
	switch {
	case o.channel == invite.LinkOnly:
		cannot = "with channel link no message is sent, so there is nothing to be reminded of"
	case o.linkType == invite.ConnectLink:
		cannot = "with link_type connect there is no page on which the recipient could stop them"
	}
	switch {
	case r == nil && cannot != "":
		return 0
	case r == nil:
		return project.DefaultReminders
	case r.Count == nil:
		f.add("/reminders/count", invite.FaultRequired, "say how often to remind, 0 to %d times", invite.MaxReminders)
	case *r.Count < 0 || *r.Count > invite.MaxReminders:
		f.add("/reminders/count", invite.FaultOutOfRange, "must be 0 to %d", invite.MaxReminders)
	case *r.Count > 0 && cannot != "":
		f.add("/reminders", invite.FaultNotAllowed, "%s", cannot)
	default:
		return *r.Count
	}
	return 0
}

func (o *order) fallsBack(f *faults, r FallbackRequest, p access.Principal, project config.Project) invite.Fallback {
	b := invite.Fallback{Channel: invite.Channel(r.Channel), After: invite.FallbackAfter(r.After)}
	oneOf(f, "/fallback/channel", r.Channel, true, invite.ChannelNames(invite.Channels())...)
	oneOf(f, "/fallback/after", r.After, true, "failure", "not_visited")
	to := o.content.Recipient
	switch {
	case o.channel == invite.LinkOnly:
		f.add("/fallback", invite.FaultNotAllowed, "with channel link nothing is sent that could fail")
	case b.Channel == o.channel:
		f.add("/fallback/channel", invite.FaultInvalid, "must be another channel than the invite's own")
	case b.Channel.Sends() && to.Address(b.Channel) == "":
		f.add(b.Channel.Spec().Field.Pointer(), invite.FaultRequired, "falling back to %s needs the recipient's %s", b.Channel, fieldName(b.Channel.Spec().Field))
	case b.Channel.Spec().NeedsConsent && to.SMSConsent == nil:
		consent(f, project, p)
	}
	if b.Channel.Sends() && b.Channel != o.channel && b.Channel.Spec().Field == invite.FieldPhone {
		textable(f, to.Phone, p, project)
	}
	if b.After == invite.AfterNotVisited {
		b.Delay = invite.DefaultNotVisitedDelay
	}
	life := o.validFor
	if life == 0 {
		life = o.expiresIn
	}
	if r.DelayS != nil {
		b.Delay = time.Duration(*r.DelayS) * time.Second
	}
	if b.Delay < 0 || b.Delay >= life {
		f.add("/fallback/delay_s", invite.FaultOutOfRange, "must be shorter than the invite's life of %d seconds", int(life.Seconds()))
	}
	return b
}
