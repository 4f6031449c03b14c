package console

import (
	"crypto/rand"
	"errors"
	"net/http"
	"time"

	"github.com/connectlink/connectlink/internal/console/story"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/testsend"
)

// doTest is the value of the button "Send to me".
const doTest = "test"

// selfSend is the part of a form by which staff send its message to themselves.
type selfSend struct {
	To   string // the account's address; empty: see Why
	Why  string // why the account cannot be sent anything
	Key  string // a form sends once
	Test bool   // test mode: the message goes to the sandbox
	// Said tells the result of the send; Kind is that of a view.Flash.
	Kind, Said string
}

// selfSend returns the part of a form before anything is sent.
func (s *console) selfSend(p *page) (selfSend, error) {
	d := selfSend{Key: rand.Text(), Test: !p.by.Live}
	box, err := s.TestSends.Mailbox(p.ctx(), p.by)
	var refused *testsend.RefusedError
	switch {
	case errors.As(err, &refused):
		d.Why = p.refusedTest(refused)
	case err != nil:
		return d, err
	}
	d.To = box.Address.Reveal()
	return d, nil
}

// sendTest sends an order to the person at the form, and adds the result to the form.
// It returns the status of the answer. A page that is loaded again posts its form again,
// with the same key, and sends nothing.
func (s *console) sendTest(p *page, d *selfSend, o testsend.Order) (status int, err error) {
	got, err := s.TestSends.Send(p.ctx(), p.by, o)
	var refused *testsend.RefusedError
	switch {
	case errors.As(err, &refused):
		d.Kind, d.Said = "bad", p.refusedTest(refused)
		return http.StatusUnprocessableEntity, nil
	case err != nil:
		return 0, err
	}
	d.Kind, d.Said = p.testResult(got)
	return http.StatusOK, nil
}

// refusedTest is the reason why nothing was sent, in words.
func (p *page) refusedTest(e *testsend.RefusedError) string {
	switch e.Why {
	case testsend.WhyNoAddress:
		return p.t("Your account has no email address, so nothing can be sent to you. Sign in with an account that has one.")
	case testsend.WhyUnverified:
		return p.t("The sign-in service does not confirm that the email address of your account is yours (email_verified), so nothing is sent to it. Ask its administrator, then sign in again.")
	case testsend.WhyLimit:
		return p.t("Nothing was sent: you can send yourself %d messages in 10 minutes and %d in 24 hours. Try again in %s.", testsend.ShortLimit, testsend.DayLimit, p.frame.Span(atLeastSecond(e.After)))
	case testsend.WhyPaused:
		return p.t("Nothing was sent: emails of this project and mode are paused.")
	case testsend.WhySuppressed:
		why, _ := invite.Explain(e.Block.Reason())
		return p.t("Nothing was sent: your own address is on the suppression list.") + " " + p.t(why.Title) + " " + p.t("See Suppressions.")
	case testsend.WhyNoProvider:
		return p.t("Nothing was sent: no email provider is configured for this project and mode.")
	case testsend.WhyResting:
		return p.t("Nothing was sent: the email provider fails at the moment. Try again in a few minutes.")
	case testsend.WhyBusy:
		return p.t("Nothing was sent: the rate limit of the email provider is used up. Try again in %s.", p.frame.Span(atLeastSecond(e.After)))
	}
	return string(e.Why)
}

// atLeastSecond rounds a wait up to whole seconds.
func atLeastSecond(d time.Duration) time.Duration {
	return max(d+time.Second-1, time.Second).Truncate(time.Second)
}

// testResult is the result of a call to a provider, in words.
func (p *page) testResult(r testsend.Result) (kind, text string) {
	name := story.ProviderName(r.Provider)
	switch r.Outcome {
	case testsend.Accepted:
		if !p.by.Live {
			return "good", p.t("The sandbox took the message in place of %s: look in the sandbox’s inbox.", name)
		}
		return "good", p.t("%s took the message: look in your inbox.", name)
	case testsend.Refused:
		why, _ := invite.Explain(r.Reason)
		return "bad", p.t("%s refused the message.", name) + " " + p.t(why.Title) + " " + p.t(why.Advice)
	case testsend.NotSent:
		return "bad", p.t("%s did not take the message, so it was not sent. Try again later.", name)
	case testsend.Unknown:
	}
	return "note", p.t("It is unknown whether %s took the message: it may still arrive. Wait some minutes before you send it again.", name)
}

// orForbidden answers a test send that the role or the form does not allow.
func (p *page) orForbidden(err error) error {
	if !errors.Is(err, testsend.ErrForbidden) {
		return err
	}
	return p.tell(p, p.base("", ""), http.StatusForbidden, p.t("Your role does not allow this"), p.t("Nothing was done. Open the console and try again there."), "")
}
