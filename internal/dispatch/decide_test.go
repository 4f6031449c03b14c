package dispatch

import (
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/store/queue"
)

func TestDecide(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	in := func(d time.Duration) *time.Time { at := now.Add(d); return &at }
	// An email with an invite link, two of its four hours left.
	base := func() queue.Job {
		return queue.Job{
			Now: now, Status: invite.Queued, Code: &queue.Code{}, Link: &queue.Link{Granted: 4 * time.Hour, ExpiresAt: *in(2 * time.Hour)},
			Invite: queue.Invite{
				Status: invite.Active, LinkType: invite.InviteLink, Content: []byte{1}, ExpiresIn: 4 * time.Hour,
				ExpiresAt: in(2 * time.Hour), GivesUpAt: *in(2 * time.Hour),
			},
		}
	}
	for _, c := range []struct {
		name   string
		change func(*queue.Job)
		want   step
		reason invite.Reason
	}{
		{"all is well", func(*queue.Job) {}, stepSend, ""},
		{"a callback settled it", func(j *queue.Job) { j.Status = invite.Delivered }, stepDone, ""},
		{"it is held", func(j *queue.Job) { j.Status = invite.Unknown }, stepDone, ""},
		{"nobody knows how its call ended", func(j *queue.Job) { j.Last = &queue.Attempt{Outcome: queue.Open} }, stepReconcile, ""},
		{"its answer was lost", func(j *queue.Job) { j.Last = &queue.Attempt{Outcome: queue.Unknown} }, stepReconcile, ""},
		{"it was taken, and only the event is missing", func(j *queue.Job) { j.Last = &queue.Attempt{Outcome: queue.Accepted} }, stepReconcile, ""},
		{"its last call did not leave", func(j *queue.Job) { j.Last = &queue.Attempt{Outcome: queue.NotSent} }, stepSend, ""},
		{"in doubt comes before ended", func(j *queue.Job) {
			j.Invite.Status, j.Last = invite.Revoked, &queue.Attempt{Outcome: queue.Open}
		}, stepReconcile, ""},
		{"revoked", func(j *queue.Job) { j.Invite.Status = invite.Revoked }, stepCancel, ""},
		{"connected by another way", func(j *queue.Job) { j.Invite.Status = invite.Connected }, stepCancel, ""},
		{"another message failed", func(j *queue.Job) { j.Invite.Status = invite.Failed }, stepSend, ""},
		{"erased", func(j *queue.Job) { j.Invite.Content = nil }, stepGiveUp, invite.MessageBroken},
		{"digits need no link and no code", func(j *queue.Job) {
			j.Kind, j.Code, j.Link, j.Invite.ExpiresAt, j.Invite.Status = invite.KindPasscode, nil, nil, nil, invite.Pending
			j.Passcode = &queue.Passcode{ExpiresAt: *in(10 * time.Minute)}
		}, stepSend, ""},
		{"digits that end too soon to be typed in", func(j *queue.Job) {
			j.Kind, j.Passcode = invite.KindPasscode, &queue.Passcode{ExpiresAt: *in(30 * time.Second)}
		}, stepGiveUp, invite.ProviderDown},
		{"digits that were entered or wiped", func(j *queue.Job) { j.Kind = invite.KindPasscode }, stepGiveUp, invite.MessageBroken},
		{"digits of an invite that ended", func(j *queue.Job) {
			j.Kind, j.Invite.Status, j.Passcode = invite.KindPasscode, invite.Connected, &queue.Passcode{ExpiresAt: *in(10 * time.Minute)}
		}, stepCancel, ""},
		{"its address was corrected", func(j *queue.Job) { j.Code = nil }, stepGiveUp, invite.MessageBroken},
		{"just enough left", func(j *queue.Job) { j.Invite.ExpiresAt = in(15 * time.Minute) }, stepSend, ""},
		{"too little left", func(j *queue.Job) { j.Invite.ExpiresAt = in(15*time.Minute - time.Second) }, stepGiveUp, invite.ProviderDown},
		{"a short life has a short end", func(j *queue.Job) {
			j.Invite.ExpiresIn, j.Invite.ExpiresAt = 4*time.Minute, in(time.Minute)
		}, stepSend, ""},
		{"a dead connect link behind a living invite link", func(j *queue.Job) {
			j.Link, j.Invite.ValidFor = nil, 24*time.Hour
		}, stepSend, ""},
		{"pending", func(j *queue.Job) {
			j.Invite.Status, j.Invite.ExpiresAt, j.Link = invite.Pending, nil, nil
		}, stepMint, ""},
		{"planned for now", func(j *queue.Job) {
			j.Invite.Status, j.Link, j.Invite.ValidFor, j.Invite.ExpiresAt = invite.Scheduled, nil, 24*time.Hour, in(24*time.Hour)
		}, stepMint, ""},
		{"pending for too long", func(j *queue.Job) {
			j.Invite.Status, j.Invite.ExpiresAt, j.Link, j.Invite.GivesUpAt = invite.Pending, nil, nil, now
		}, stepGiveUp, invite.LinkUnavailable},
		{"pending for too long, for our account's fault", func(j *queue.Job) {
			j.Invite.Status, j.Invite.ExpiresAt, j.Link, j.Invite.GivesUpAt, j.Reason = invite.Pending, nil, nil, now, invite.ProviderAccount
		}, stepGiveUp, invite.ProviderAccount},
		{"too little left after greylisting", func(j *queue.Job) {
			j.Invite.ExpiresAt, j.Reason = in(time.Minute), invite.DeferredByHost
		}, stepGiveUp, invite.DeferredByHost},
		{"connect: a good link", func(j *queue.Job) { j.Invite.LinkType = invite.ConnectLink }, stepSend, ""},
		{"connect: none", func(j *queue.Job) { j.Invite.LinkType, j.Link = invite.ConnectLink, nil }, stepMint, ""},
		{"connect: too little left of it", func(j *queue.Job) {
			j.Invite.LinkType, j.Link.ExpiresAt = invite.ConnectLink, *in(14 * time.Minute)
		}, stepMint, ""},
		{"connect: the invite's life is over", func(j *queue.Job) {
			j.Invite.LinkType, j.Invite.GivesUpAt = invite.ConnectLink, now
		}, stepGiveUp, invite.ProviderDown},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			j := base()
			c.change(&j)
			if got, reason := decideStep(&j); got != c.want || reason != c.reason && got != stepGiveUp {
				t.Errorf("step %d %q, want %d %q", got, reason, c.want, c.reason)
			} else if got == stepGiveUp && reason != c.reason {
				t.Errorf("gives up for %q, want %q", reason, c.reason)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	d := newDispatcher(Params{})
	for _, c := range []struct {
		name      string
		e         provider.SendError
		leaseOver bool
		ruling    ruling
		strikes   bool
		rest      bool
		atLeast   time.Duration
	}{
		{"a connection refused", provider.SendError{Outcome: provider.NotSent, Scope: provider.ScopeMessage}, false, rulingRetry, true, false, time.Second},
		{"429 with a date", provider.SendError{Outcome: provider.NotSent, Scope: provider.ScopeAccount, RetryAfter: 90 * time.Second}, false, rulingRetry, true, true, 90 * time.Second},
		{"429 without one", provider.SendError{Outcome: provider.NotSent, Scope: provider.ScopeAccount}, false, rulingRetry, true, false, time.Second},
		{"our own guard", provider.SendError{Outcome: provider.NotSent}, true, rulingRetry, false, false, time.Second},
		{"a lost answer", provider.SendError{Outcome: provider.Unknown}, false, rulingDoubt, true, false, 0},
		{"a bad address", provider.SendError{Outcome: provider.Refused, Scope: provider.ScopeMessage}, false, rulingReject, false, false, 0},
		{"bad credentials", provider.SendError{Outcome: provider.Refused, Scope: provider.ScopeAccount}, false, rulingRetry, true, true, 30 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := d.judge(&c.e, 1, c.leaseOver)
			if v.ruling != c.ruling || v.strikes != c.strikes || (v.rest > 0) != c.rest || v.after < c.atLeast || v.reason == "" {
				t.Errorf("%+v", v)
			}
		})
	}
}

// TestVendors11GreylistingIsTriedAgainOverMinutes: eleven tries within 95 s met
// the same wall; RFC 6647 speaks of minutes.
func TestVendors11GreylistingIsTriedAgainOverMinutes(t *testing.T) {
	t.Parallel()
	d := newDispatcher(Params{})
	e := &provider.SendError{Outcome: provider.NotSent, Scope: provider.ScopeMessage, ProviderCode: "450 4.2.0", Provider: "smtp"}
	total := time.Duration(0)
	for tries := 1; tries <= 4; tries++ {
		v := d.judge(e, tries, false)
		if v.ruling != rulingRetry || v.strikes || v.after < time.Minute || v.after > 10*time.Minute {
			t.Errorf("try %d: %+v", tries, v)
		}
		total += v.after
	}
	if total < 4*time.Minute {
		t.Errorf("four tries within %s", total)
	}
}

func TestBackoffHasFullJitterWithinItsBounds(t *testing.T) {
	t.Parallel()
	d := newDispatcher(Params{})
	for tries, most := range map[int]time.Duration{0: 2 * time.Second, 1: 2 * time.Second, 3: 8 * time.Second, 6: time.Minute, 100: time.Minute} {
		low, high := time.Hour, time.Duration(0)
		for range 500 {
			got := d.backoff(tries)
			low, high = min(low, got), max(high, got)
		}
		if low < time.Second || high > most {
			t.Errorf("try %d waits %v to %v, want 1s to %v", tries, low, high, most)
		}
		if high-low < (most-time.Second)/2 {
			t.Errorf("try %d waits %v to %v: hardly any jitter", tries, low, high)
		}
	}
}
