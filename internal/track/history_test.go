package track_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider/twilio"
	"github.com/connectlink/connectlink/internal/track"
	"github.com/connectlink/connectlink/internal/track/tracktest"
)

// said is one thing that a provider says of a message.
type said struct {
	name, code string
	at         time.Time
	id         string // copies under another id are told apart by it
}

// TestHistoriesThroughTheStore draws histories of what providers say, doubles
// each fact up to 46 times, shuffles all, mixes forgeries in, and sends them
// signed through the verifiers into the database. The end must be that of the
// true order, and no forgery may be taken.
//
// CONNECTLINK_HISTORIES=10000 is the long form; -run it alone.
func TestHistoriesThroughTheStore(t *testing.T) {
	t.Parallel()
	histories := 40
	if n, err := strconv.Atoi(os.Getenv("CONNECTLINK_HISTORIES")); err == nil {
		histories = n
	}
	w := newWorld(t)
	seed := rand.Uint64()
	var forged, taken atomic.Int64
	next := make(chan int)
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for i := range next {
				w.history(t, seed, i, &forged, &taken)
			}
		})
	}
	for i := range histories {
		next <- i
	}
	close(next)
	workers.Wait()
	t.Logf("seed %d: %d histories, %d forgeries, %d of them taken", seed, histories, forged.Load(), taken.Load())
	if forged.Load() == 0 || taken.Load() != 0 {
		t.Errorf("%d of %d forgeries were taken", taken.Load(), forged.Load())
	}
}

// history plays one history twice: as it was, and as a bad day would bring it.
func (w *world) history(t *testing.T, seed uint64, number int, forged, taken *atomic.Int64) {
	r := rand.New(rand.NewPCG(seed, uint64(number)))
	channel, provider := invite.Email, "sendgrid"
	if r.IntN(2) == 0 {
		channel, provider = invite.SMS, "twilio"
	}
	truth := drawn(r, channel)
	heard := slices.Clone(truth)
	for _, s := range truth {
		for range r.IntN(maxCopies) {
			if r.IntN(5) == 0 {
				break
			}
			again := s
			if r.IntN(4) == 0 {
				again.id += fmt.Sprint("-", r.IntN(100))
			}
			heard = append(heard, again)
		}
	}
	r.Shuffle(len(heard), func(a, b int) { heard[a], heard[b] = heard[b], heard[a] })

	play := func(label string, list []said, attacked bool) (delivery, bool) {
		m := w.Invite(tracktest.Options{Channel: channel, User: fmt.Sprint("user-", number, label)})
		attempt := w.Attempt(m, provider, "open")
		sid := fmt.Sprintf("SM%x", attempt.UUID())
		for len(list) > 0 {
			n := min(len(list), 1+r.IntN(8))
			var posts []map[string]any
			for _, s := range list[:n] {
				if channel == invite.SMS {
					post := textPostAs(sid, m, attempt, s.name, s.code)
					if err := w.Reports(t.Context(), post); err != nil {
						t.Errorf("history %d of seed %d: %v", number, seed, err)
						return delivery{}, false
					}
					continue
				}
				posts = append(posts, mailEvent(m, attempt, s.name, label+fmt.Sprint(number)+s.id, s.at, map[string]any{"status": s.code, "type": "bounce", "reason": "550 no"}))
			}
			list = list[n:]
			if len(posts) > 0 {
				raw, header := w.mailPost(posts...)
				if err := w.SendGrid(t.Context(), invite.Place{Project: "default"}, raw, header); err != nil {
					t.Errorf("history %d of seed %d: %v", number, seed, err)
					return delivery{}, false
				}
			}
			if attacked {
				forged.Add(1)
				if !w.forge(r, m, attempt, sid, channel) {
					taken.Add(1)
				}
			}
		}
		d := w.delivery(m)
		d.Message = ""
		return d, true
	}
	want, ok := play("a", truth, false)
	if !ok {
		return
	}
	got, ok := play("b", heard, true)
	if diff := cmp.Diff(want, got); ok && diff != "" {
		t.Errorf("history %d of seed %d: %v\n(-in order +as heard):\n%s", number, seed, truth, diff)
	}
}

const maxCopies = 46

// drawn is a history: what happened, in order.
func drawn(r *rand.Rand, channel invite.Channel) []said {
	start := time.Now().Add(-time.Hour).Truncate(time.Second)
	names, codes := []string{"processed", "deferred", "delivered", "bounce", "spamreport", "dropped", "open", "a_new_event"}, []string{"", "5.1.1", "5.2.2"}
	if channel == invite.SMS {
		// Twilio tells no time, so one message has one end there.
		names, codes = []string{"queued", "sending", "sent", "read", "delivered", "undelivered"}, []string{""}
	}
	out := make([]said, 1+r.IntN(6))
	for i := range out {
		out[i] = said{
			name: names[r.IntN(len(names))], code: codes[r.IntN(len(codes))], id: fmt.Sprint("e", i),
			at: start.Add(time.Duration(r.IntN(5)) * time.Minute),
		}
		if out[i].name == "undelivered" {
			out[i].code = []string{"30003", "30005", "30006"}[r.IntN(3)]
		}
	}
	slices.SortStableFunc(out, func(a, b said) int { return a.at.Compare(b.at) })
	return out
}

// forge tries a callback without a valid signature; it reports whether it was
// refused.
func (w *world) forge(r *rand.Rand, m tracktest.Made, attempt invite.AttemptID, sid string, channel invite.Channel) bool {
	if channel == invite.SMS {
		post := textPostAs(sid, m, attempt, "undelivered", "21610")
		switch r.IntN(3) {
		case 0:
			post.Header.Del(twilio.SignatureHeader)
		case 1:
			post.Raw = bytes.Replace(post.Raw, []byte("21610"), []byte("30004"), 1)
		case 2:
			post.RequestURI += "?x=1"
		}
		return errors.Is(w.Reports(w.t.Context(), post), track.ErrForged)
	}
	raw, header := w.mailPost(mailEvent(m, attempt, "spamreport", fmt.Sprint("forged", r.Uint64()), time.Now(), nil))
	switch r.IntN(3) {
	case 0:
		header.Del("X-Twilio-Email-Event-Webhook-Signature")
	case 1:
		raw = bytes.Replace(raw, []byte("spamreport"), []byte("group_resub"), 1)
	case 2:
		// Changed from the signed value, not set from now: a second may pass
		// between.
		const stamp = "X-Twilio-Email-Event-Webhook-Timestamp"
		header.Set(stamp, header.Get(stamp)+"0")
	}
	return errors.Is(w.SendGrid(w.t.Context(), invite.Place{Project: "default"}, raw, header), track.ErrForged)
}
