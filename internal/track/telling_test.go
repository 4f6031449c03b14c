package track_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/track/tracktest"
)

// callback is one report of a provider with its meaning alone; the reason is
// empty unless it is a failure.
type callback struct {
	name, code string
	more       map[string]any
	reason     invite.Reason
}

func mailCallbacks() []callback {
	bounce := func(typ, class, status, reason string, r invite.Reason) callback {
		return callback{"bounce", "", map[string]any{"type": typ, "bounce_classification": class, "status": status, "reason": reason}, r}
	}
	dropped := func(reason string, r invite.Reason) callback {
		return callback{"dropped", "", map[string]any{"reason": reason}, r}
	}
	return []callback{
		{name: "processed"}, {name: "deferred"}, {name: "delivered"}, {name: "spamreport"},
		bounce("bounce", "Invalid Address", "5.1.1", "550 5.1.1 no such user", invite.AddressNotFound),
		bounce("blocked", "", "", "", invite.MailReturned),
		bounce("bounce", "Technical Failure", "5.0.0", "500", invite.MailReturned),
		bounce("bounce", "Mailbox Unavailable", "5.2.2", "full", invite.MailboxUnavailable),
		bounce("blocked", "Reputation", "5.7.1", "blocked", invite.SenderReputation),
		bounce("blocked", "Content", "5.6.0", "no", invite.ContentRefused),
		bounce("blocked", "Frequency or Volume Too High", "4.7.0", "slow", invite.RateLimitedByHost),
		dropped("Bounced Address", invite.SuppressedBefore), dropped("Unsubscribed Address", invite.Unsubscribed),
		dropped("Spam Reporting Address", invite.MarkedSpam), dropped("Something else", invite.ProviderRefused),
	}
}

func textCallbacks() []callback {
	out := []callback{{name: "queued"}, {name: "sent"}, {name: "delivered"}, {name: "failed", reason: invite.ProviderRefused}, {name: "undelivered", reason: invite.ProviderRefused}}
	for code, r := range map[string]invite.Reason{
		"30006": invite.Landline, "21610": invite.OptedOut, "30003": invite.PhoneUnreachable, "30999": invite.ProviderRefused, "30005": invite.NumberUnknown,
		"30007": invite.CarrierFiltered, "30034": invite.SenderNotRegistered, "30001": invite.ProviderDown, "30454": invite.ProviderAccount,
	} {
		out = append(out, callback{"undelivered", code, nil, r}, callback{"failed", code, nil, r})
	}
	slices.SortFunc(out, func(a, b callback) int { return strings.Compare(a.name+a.code, b.name+b.code) })
	return out
}

// tellingOrder is written by hand: from what says least to what says most.
var tellingOrder = []invite.Reason{
	invite.ProviderRefused, invite.SuppressedBefore, invite.MailReturned, invite.ProviderDown, invite.RateLimitedByHost, invite.PhoneUnreachable,
	invite.ProviderAccount, invite.SenderReputation, invite.ContentRefused, invite.CarrierFiltered, invite.SenderNotRegistered,
	invite.MailboxUnavailable, invite.Landline, invite.NumberUnknown, invite.AddressNotFound, invite.Unsubscribed, invite.OptedOut, invite.MarkedSpam,
}

// TestF07PairsAndTriplesOfCallbacksEndAlike sends random pairs and triples of
// callbacks, shuffled and repeated, through the verifiers into the database: the
// end is the same, and a reason that tells more is never lost.
//
// CONNECTLINK_HISTORIES=1000 is the long form: so many for each provider.
func TestF07PairsAndTriplesOfCallbacksEndAlike(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seed := rand.Uint64()
	each := 100
	if n, err := strconv.Atoi(os.Getenv("CONNECTLINK_HISTORIES")); err == nil {
		each = n
	}
	next := make(chan int)
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for i := range next {
				channel, all := invite.Email, mailCallbacks()
				if i >= each {
					channel, all = invite.SMS, textCallbacks()
				}
				w.pair(t, rand.New(rand.NewPCG(seed, uint64(i))), fmt.Sprint(seed, "-", i), channel, all)
			}
		})
	}
	for i := range 2 * each {
		next <- i
	}
	close(next)
	workers.Wait()
}

func (w *world) pair(t *testing.T, r *rand.Rand, label string, channel invite.Channel, all []callback) {
	start := time.Now().Add(-time.Hour).Truncate(time.Second)
	type heard struct {
		callback
		at time.Time
		id string
	}
	var story []heard
	for i := range 2 + r.IntN(2) {
		story = append(story, heard{all[r.IntN(len(all))], start.Add(time.Duration(r.IntN(3)) * time.Minute), fmt.Sprint(label, "-", i)})
	}
	shuffled := append(slices.Clone(story), story...)
	r.Shuffle(len(shuffled), func(a, b int) { shuffled[a], shuffled[b] = shuffled[b], shuffled[a] })
	play := func(label string, list []heard) delivery {
		m := w.Invite(tracktest.Options{Channel: channel, User: label})
		provider := map[invite.Channel]string{invite.Email: "sendgrid", invite.SMS: "twilio"}[channel]
		attempt := w.Attempt(m, provider, "open")
		for i, c := range list {
			if channel == invite.SMS {
				if err := w.Reports(t.Context(), textPostAs(fmt.Sprintf("SM%x", attempt.UUID()), m, attempt, c.name, c.code)); err != nil {
					t.Error(err)
				}
				continue
			}
			id := label + c.id
			if i%2 == 1 {
				id += fmt.Sprint(i) // a copy that SendGrid gave another id
			}
			raw, header := w.mailPost(mailEvent(m, attempt, c.name, id, c.at, c.more))
			if err := w.SendGrid(t.Context(), invite.Place{Project: "default"}, raw, header); err != nil {
				t.Error(err)
			}
		}
		return w.delivery(m)
	}
	a, b := play(label+"a", story), play(label+"b", shuffled)
	if a.Status != b.Status || a.Reason != b.Reason || a.InviteStatus != b.InviteStatus {
		t.Errorf("%s: %+v in order, %+v shuffled and repeated: %+v", label, a, b, story)
	}
	if !invite.DeliveryStatus(a.Status).DidNotArrive() {
		return
	}
	want := -1
	for _, c := range story {
		want = max(want, slices.Index(tellingOrder, c.reason))
	}
	if want < 0 || a.Reason != string(tellingOrder[want]) {
		t.Errorf("%s: reason %s after %+v", label, a.Reason, story)
	}
}

// TestF01ADropForAPieceOfOurMessageBlocksNobody: the event names no mailbox of
// the recipient's, so that the fault is ours.
func TestF01ADropForAPieceOfOurMessageBlocksNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for email, want := range map[string]delivery{
		"doe":                  {Status: "rejected", Reason: "message_broken"},
		"Pat@Customer.example": {Status: "suppressed", Reason: "address_not_found"},
	} {
		m := w.Invite(tracktest.Options{})
		attempt := w.Attempt(m, "sendgrid", "accepted")
		w.takeMail(mailEvent(m, attempt, "dropped", "drop "+email, time.Now(), map[string]any{"reason": "Invalid", "email": email}))
		if d := w.delivery(m); d.Status != want.Status || d.Reason != want.Reason {
			t.Errorf("dropped for %q: %+v", email, d)
		}
	}
	if got := w.published(invite.EffectBlock); got != 1 {
		t.Errorf("%d blocks, want the one of the real mailbox", got)
	}
}

// TestF21RepliesStandOnTheTimeline: what no rule understood is seen by a person,
// and a STOP with punctuation around it counts.
func TestF21RepliesStandOnTheTimeline(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{Channel: invite.SMS})
	w.Attempt(m, "twilio", "accepted")
	for i, c := range []struct{ body, outcome string }{
		{"Who is this?", ""}, {"don't you ever stop", "like_stop"}, {"Stop. Thank you", "STOP"},
	} {
		post := inboundPost(fmt.Sprintf("SM%032x", 900+i), "+12025550100", c.body)
		for range 2 { // a copy is no second reply
			if err := w.Reply(t.Context(), post); err != nil {
				t.Fatal(err)
			}
		}
		events := w.Events(m.ID)
		last := events[len(events)-1]
		if last.Type != invite.EventReplied || last.Data.Outcome != c.outcome || len(events) != 3+i {
			t.Errorf("%q: %+v after %d events", c.body, last, len(events))
		}
	}
	if n := w.Count(`SELECT count(*) FROM suppressions WHERE kind = 'opt_out'`); n != 1 {
		t.Errorf("%d opt-outs", n)
	}
	if n := w.Count(`SELECT count(*) FROM events WHERE type = 'reply.received' AND detail IS NOT NULL AND position('Thank' IN encode(detail, 'escape')) = 0`); n != 3 {
		t.Errorf("%d replies keep their words sealed", n)
	}
	// A person to whom nothing was sent has no timeline.
	if err := w.Reply(t.Context(), inboundPost("SM"+fmt.Sprintf("%032x", 950), "+12025550199", "hello")); err != nil {
		t.Error(err)
	}
}

func inboundPost(sid, from, body string) provider.Post {
	form := url.Values{"MessageSid": {sid}, "From": {from}, "To": {"+15005550006"}, "Body": {body}, "AccountSid": {"AC0"}}
	return formPost("/hooks/twilio/inbound/default/test", form)
}
