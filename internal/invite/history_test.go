package invite_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	. "github.com/connectlink/connectlink/internal/invite"
)

const (
	histories = 10_000
	maxCopies = 46 // the most copies of one event seen in production
)

// TestRandomHistoriesEndAsInOrder makes histories that no table of stories
// would hold: any facts, at times that may collide, with reasons that may
// differ, about several messages. However they are doubled and shuffled, the
// end is that of the true order.
func TestRandomHistoriesEndAsInOrder(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	for i := range histories {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		start, history := history(r)
		want := start
		for _, e := range history {
			want, _ = Fold(want, e)
		}
		heard := slices.Clone(history)
		for _, e := range history {
			for range r.IntN(maxCopies) {
				if r.IntN(4) > 0 { // most are doubled a little, some a lot
					break
				}
				heard = append(heard, e)
			}
		}
		r.Shuffle(len(heard), func(a, b int) { heard[a], heard[b] = heard[b], heard[a] })
		got := start
		for _, e := range heard {
			got, _ = Fold(got, e)
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(State{}, "Version"), cmp.AllowUnexported(DeliveryID{})); diff != "" {
			t.Fatalf("history %d of seed %d (-in order +shuffled):\n%s", i, seed, diff)
		}
		if got.Version != len(heard) {
			t.Fatalf("history %d of seed %d: version %d after %d events", i, seed, got.Version, len(heard))
		}
	}
}

// history draws an invite with up to three messages and what providers say of
// them, in the order in which it happened.
func history(r *rand.Rand) (State, []Event) {
	s := State{Status: Active, Progress: NotOpened, Channel: Email, ExpiresAt: noon.Add(4 * time.Hour), GivesUpAt: noon.Add(4 * time.Hour)}
	for range 1 + r.IntN(3) {
		s.Deliveries = append(s.Deliveries, DeliveryState{ID: New[DeliveryID](), Status: Sending, Channel: Email})
	}
	types := []EventType{
		EventDeliveryAccepted, EventDeliverySent, EventDeliveryDeferred, EventDeliveryDelivered, EventDeliveryBounced,
		EventDeliveryUndelivered, EventDeliveryRejected, EventDeliverySuppressed, EventDeliveryComplained, EventDeliveryUnknown,
	}
	reasons := []Reason{""}
	for _, e := range Explanations() {
		reasons = append(reasons, e.Code)
	}
	events := make([]Event, 1+r.IntN(10))
	for i := range events {
		typ := types[r.IntN(len(types))]
		reason := Reason(typ)
		if r.IntN(2) == 0 { // failures that tell more and less about one message
			reason = reasons[r.IntN(len(reasons))]
		}
		events[i] = Event{
			Type: typ, DeliveryID: s.Deliveries[r.IntN(len(s.Deliveries))].ID, At: noon.Add(time.Duration(r.IntN(6)) * time.Second),
			Data: Data{Reason: reason, ProviderCode: []string{"", "1", "2"}[r.IntN(3)], Provider: []string{"sendgrid", "twilio"}[r.IntN(2)]},
		}
	}
	slices.SortStableFunc(events, func(a, b Event) int { return a.At.Compare(b.At) })
	return s, events
}
