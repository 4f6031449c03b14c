package dispatch

import (
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/queue"
)

type step int

const (
	stepDone      step = iota // settled: nothing to do
	stepReconcile             // an attempt is in doubt
	stepRecheck               // it may have been sent after the time to which the database was restored
	stepCancel                // the invite ended
	stepGiveUp                // too little time is left, or the content was erased
	stepMint                  // a link is needed
	stepSend
)

// decideStep returns the next step of a delivery. It is pure: j is one snapshot,
// with all times by the database's clock.
func decideStep(j *queue.Job) (step, invite.Reason) {
	if j.Status.Ended() {
		return stepDone, ""
	}
	if j.Last != nil {
		switch j.Last.Outcome {
		case queue.Open, queue.Unknown, queue.Accepted:
			return stepReconcile, ""
		}
	}
	inv := &j.Invite
	if !inv.Status.Open() && inv.Status != invite.Failed {
		return stepCancel, ""
	}
	if j.RestoredAt != nil {
		return stepRecheck, ""
	}
	if j.Kind == invite.KindPasscode {
		return decidePasscode(j)
	}
	if inv.Content == nil || j.Code == nil {
		return stepGiveUp, invite.MessageBroken // erased, or its address was corrected
	}
	left := func(t time.Time) time.Duration { return t.Sub(j.Now) }
	if inv.LinkType == invite.ConnectLink {
		switch {
		case left(inv.GivesUpAt) <= 0:
			return stepGiveUp, shortfallReason(j)
		case j.Link == nil || !invite.EnoughLeft(j.Link.Granted, left(j.Link.ExpiresAt)):
			return stepMint, ""
		}
		return stepSend, ""
	}
	if inv.ExpiresAt == nil || inv.Status == invite.Pending || inv.Status == invite.Scheduled {
		if left(inv.GivesUpAt) <= 0 {
			return stepGiveUp, waitReason(j, invite.LinkUnavailable)
		}
		return stepMint, ""
	}
	if !invite.EnoughLeft(grantedLife(j), left(*inv.ExpiresAt)) {
		return stepGiveUp, shortfallReason(j)
	}
	return stepSend, ""
}

// leastPasscode is what must be left of a passcode for its message to be of
// use: it has to arrive, and to be typed in.
const leastPasscode = time.Minute

// decidePasscode is decide for digits that are to be sent. They need no connect
// link, and have a short life of their own.
func decidePasscode(j *queue.Job) (step, invite.Reason) {
	switch {
	case j.Invite.Content == nil || j.Passcode == nil:
		return stepGiveUp, invite.MessageBroken // erased, entered already, or its address was corrected
	case j.Passcode.ExpiresAt.Sub(j.Now) < leastPasscode:
		return stepGiveUp, waitReason(j, invite.ProviderDown)
	}
	return stepSend, ""
}

// grantedLife is the validity of the invite at its start. Without valid_for
// that is its token's, which may be shorter than requested.
func grantedLife(j *queue.Job) time.Duration {
	switch {
	case j.Invite.ValidFor > 0:
		return j.Invite.ValidFor
	case j.Link != nil:
		return min(j.Invite.ExpiresIn, j.Link.Granted)
	}
	return j.Invite.ExpiresIn
}

// shortfallReason is the reason for running out of time: the last missing
// condition.
func shortfallReason(j *queue.Job) invite.Reason {
	if j.Link == nil && j.Attempts == 0 {
		return waitReason(j, invite.LinkUnavailable)
	}
	return waitReason(j, invite.ProviderDown)
}

// waitReason is what the message waited for, where that is recorded.
func waitReason(j *queue.Job, otherwise invite.Reason) invite.Reason {
	switch j.Reason {
	case "", invite.NoReceipt, invite.OutcomeUnknown, invite.DatabaseRestored:
		return otherwise
	}
	return j.Reason
}
