package story

import "github.com/connectlink/connectlink/internal/invite"

// Step is something staff can do with an invite.
type Step string

// The steps.
const (
	StepNone    Step = ""
	StepCancel  Step = "cancel"  // revoke before it leaves
	StepResend  Step = "resend"  // same person, same way
	StepCorrect Step = "correct" // another address
	StepToEmail Step = "email"   // the other channel
	StepToSMS   Step = "sms"
	StepLift    Step = "lift" // take the block away first
	StepRenew   Step = "renew"
	StepNew     Step = "new"
)

// Next returns the most probable next step for an invite's status and
// reason, with the label of the page's main button.
func Next(w Words, s Situation) (Step, string) {
	over := s.Status == invite.Connected || s.Status == invite.Revoked
	if m := s.Message; m != nil && !over {
		// The person's reply counts, regardless of later changes of the invite.
		switch {
		case m.Status == invite.Complained, m.Reason == invite.MarkedSpam:
			return StepNone, "" // no message may be sent to them
		case m.Reason == invite.OptedOut:
			return byReason(w, m.Reason)
		}
	}
	switch s.Status {
	case invite.Connected:
		return StepNone, ""
	case invite.Revoked:
		return StepNew, w.T("New invite")
	case invite.Expired:
		return StepRenew, w.T("Send a new link")
	case invite.Scheduled:
		return StepCancel, w.T("Cancel")
	case invite.Pending, invite.Active, invite.Failed:
	}
	if s.Progress == invite.ConnectFailed && !s.Newer() {
		return StepRenew, w.T("Send a new link")
	}
	if s.Message == nil {
		return StepResend, w.T("Resend…")
	}
	switch s.Message.Status {
	case invite.Queued, invite.Sending:
		return StepCancel, w.T("Cancel")
	case invite.Bounced, invite.Undelivered, invite.Rejected, invite.Suppressed, invite.Unknown:
		return byReason(w, s.Message.Reason)
	case invite.Accepted, invite.Sent, invite.Deferred, invite.Delivered, invite.Canceled, invite.Complained:
	}
	return StepResend, w.T("Resend…")
}

func byReason(w Words, r invite.Reason) (Step, string) {
	e, _ := invite.Explain(r)
	switch e.Action {
	case invite.CorrectAddress:
		return StepCorrect, w.T("Correct address and resend")
	case invite.SwitchToSMS:
		return StepToSMS, w.T("Switch to SMS")
	case invite.SwitchToEmail:
		return StepToEmail, w.T("Switch to email")
	case invite.LiftAndResend:
		return StepLift, w.T("Unblock and resend")
	case invite.Resend, invite.CallOperator, invite.NoAction:
	}
	if r == invite.ProviderRefused {
		return StepNone, "" // it is not known what would help: a resend may meet the same refusal
	}
	return StepResend, w.T("Resend…")
}
