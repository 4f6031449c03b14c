package console

import (
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console/story"
)

// stepURL is where the next step is taken; empty where the role may not.
func (p *page) stepURL(home string, step story.Step) string {
	may := func(a access.Act, address string) string {
		if !p.by.May(a) {
			return ""
		}
		return address
	}
	switch step {
	case story.StepCancel:
		return may(access.ActRevoke, home+"/revoke")
	case story.StepResend, story.StepRenew:
		return may(access.ActResend, home+"/resend")
	case story.StepCorrect:
		return may(access.ActCorrect, home+"/resend?correct=1")
	case story.StepToEmail:
		return may(access.ActResend, home+"/resend?channel=email")
	case story.StepToSMS:
		return may(access.ActResend, home+"/resend?channel=sms")
	case story.StepLift:
		return may(access.ActLiftBlock, p.frame.URL("blocks"))
	case story.StepNew:
		return may(access.ActCreate, p.frame.URL("new"))
	case story.StepNone:
	}
	return ""
}

// stepLift leads to the block that stands in the way of an invite's address, and
// to sending again where none stands there any more.
func (s *console) stepLift(p *page, o opened, d *invitePage) error {
	b, ok, err := s.standing(p, o)
	switch {
	case err != nil:
		return err
	case !ok:
		d.Step, d.StepText = story.StepResend, p.t("Resend…")
		d.StepURL = p.stepURL(d.Home, d.Step)
	case d.StepURL != "":
		d.StepURL = withQuery(p.frame.URL("blocks", b.ID.String()), "then", o.ID.String())
	}
	return nil
}
