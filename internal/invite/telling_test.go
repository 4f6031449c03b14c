package invite_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	. "github.com/connectlink/connectlink/internal/invite"
)

// fact is a report of a provider about the one message.
func fact(t EventType, r Reason, code string, second int) Event {
	return Event{Type: t, DeliveryID: first, Data: Data{Reason: r, ProviderCode: code}, At: noon.Add(time.Duration(second) * time.Second)}
}

func hear(events ...Event) DeliveryState {
	s := at(Active, Accepted)
	for _, e := range events {
		s, _ = Fold(s, e)
	}
	return s.Deliveries[0]
}

// TestF07TheMoreTellingReasonStaysInAnyOrder plays the inputs of case F07, and
// siblings of them, in both orders.
func TestF07TheMoreTellingReasonStaysInAnyOrder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		a, b Event
		want Reason
		code string
	}{
		"30006, then no code":       {fact(EventDeliveryUndelivered, Landline, "30006", 0), fact(EventDeliveryUndelivered, ProviderRefused, "", 0), Landline, "30006"},
		"21610, then no code":       {fact(EventDeliveryUndelivered, OptedOut, "21610", 0), fact(EventDeliveryUndelivered, ProviderRefused, "", 0), OptedOut, "21610"},
		"30006, then 30003":         {fact(EventDeliveryUndelivered, Landline, "30006", 0), fact(EventDeliveryUndelivered, PhoneUnreachable, "30003", 0), Landline, "30006"},
		"30006, then 30999":         {fact(EventDeliveryUndelivered, Landline, "30006", 0), fact(EventDeliveryUndelivered, ProviderRefused, "30999", 0), Landline, "30006"},
		"30999, then no code":       {fact(EventDeliveryUndelivered, ProviderRefused, "30999", 0), fact(EventDeliveryUndelivered, ProviderRefused, "", 0), ProviderRefused, "30999"},
		"5.1.1, later blocked":      {fact(EventDeliveryBounced, AddressNotFound, "5.1.1", 0), fact(EventDeliveryBounced, MailReturned, "blocked", 3), AddressNotFound, "5.1.1"},
		"5.1.1, later dropped":      {fact(EventDeliveryBounced, AddressNotFound, "5.1.1", 0), fact(EventDeliverySuppressed, SuppressedBefore, "", 9), AddressNotFound, "5.1.1"},
		"unclear, later dropped":    {fact(EventDeliveryBounced, MailReturned, "5.0.0", 0), fact(EventDeliverySuppressed, SuppressedBefore, "", 9), MailReturned, "5.0.0"},
		"mailbox full, later 5.1.1": {fact(EventDeliveryBounced, MailboxUnavailable, "5.2.2", 0), fact(EventDeliveryBounced, AddressNotFound, "5.1.1", 3), AddressNotFound, "5.1.1"},
	} {
		for order, got := range map[string]DeliveryState{"in order": hear(c.a, c.b), "reversed": hear(c.b, c.a), "repeated": hear(c.b, c.a, c.b, c.b, c.a)} {
			if got.Reason != c.want || got.ProviderCode != c.code {
				t.Errorf("%s, %s: %s %q, want %s %q", name, order, got.Reason, got.ProviderCode, c.want, c.code)
			}
		}
	}
}

// TestEveryTripleOfFactsEndsAlikeInEveryOrder takes all pairs of reasons with
// all kinds of ends, and a third fact between or around them.
func TestEveryTripleOfFactsEndsAlikeInEveryOrder(t *testing.T) {
	t.Parallel()
	failures := []EventType{EventDeliveryBounced, EventDeliveryUndelivered, EventDeliveryRejected, EventDeliverySuppressed}
	thirds := []Event{
		fact(EventDeliveryDelivered, "", "", 1), fact(EventDeliveryDelivered, "", "", 3), fact(EventDeliveryDelivered, "", "", 5),
		fact(EventDeliveryComplained, MarkedSpam, "", 4), fact(EventDeliveryDeferred, DeferredByHost, "", 1),
		fact(EventDeliveryUndelivered, ProviderRefused, "", 6),
	}
	for _, x := range Explanations() {
		for _, y := range Explanations() {
			for i, tx := range failures {
				ty := failures[(i+len(x.Code)+len(y.Code))%len(failures)]
				for n, third := range thirds {
					facts := []Event{fact(tx, x.Code, "1", 2), fact(ty, y.Code, "", 4), third}
					want := hear(facts...)
					for _, o := range [][]int{{0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}, {2, 0, 0, 1, 2, 0}} {
						var heard []Event
						for _, k := range o {
							heard = append(heard, facts[k])
						}
						if diff := cmp.Diff(want, hear(heard...), cmpopts.IgnoreFields(DeliveryState{}, "ID")); diff != "" {
							t.Fatalf("%s and %s with third fact %d, order %v:\n%s", x.Code, y.Code, n, o, diff)
						}
					}
				}
			}
		}
	}
}

func TestReasonsAreRankedEachOnItsOwn(t *testing.T) {
	t.Parallel()
	for _, x := range Explanations() {
		if got := hear(fact(EventDeliveryBounced, x.Code, "", 0), fact(EventDeliveryBounced, "", "5.0.0", 1)); got.Reason != x.Code {
			t.Errorf("a fact without a reason replaced %s", x.Code)
		}
		for _, y := range Explanations() {
			// Equal ranks would let the code decide.
			a := hear(fact(EventDeliveryBounced, x.Code, "1", 0), fact(EventDeliveryBounced, y.Code, "2", 0)).Reason
			b := hear(fact(EventDeliveryBounced, x.Code, "2", 0), fact(EventDeliveryBounced, y.Code, "1", 0)).Reason
			if a != b {
				t.Errorf("%s and %s have one rank: %s and %s stand", x.Code, y.Code, a, b)
			}
		}
	}
}

// TestWordsFitTheState (vendors 4 and 6, recipient and console E): nothing says
// that it is tried again once it is over, and nothing speaks of an end before.
func TestWordsFitTheState(t *testing.T) {
	t.Parallel()
	for _, e := range Explanations() {
		for _, s := range DeliveryStatuses() {
			got, ok := ExplainDelivery(e.Code, s)
			if !ok {
				t.Fatalf("%s has no words", e.Code)
			}
			words := got.Title + " " + got.Advice
			again := contains(words, "retries automatically", "is queued and will be sent", "try again automatically", "Wait.")
			over := contains(words, "about to expire", "in time", "Resend", "resend")
			if s.DidNotArrive() && again {
				t.Errorf("%s, %s: %q", e.Code, s, words)
			}
			if s == Queued && over && contains(string(e.Code), "provider_unavailable", "provider_account", "link_unavailable", "deferred", "technical", "rate_limited") {
				t.Errorf("%s, still trying: %q", e.Code, words)
			}
		}
	}
	mint, _ := ExplainEvent(LinkUnavailable, EventMintFailed)
	if !contains(mint.Advice, "retries automatically") || mint.Action != NoAction {
		t.Errorf("a mint that is tried again: %+v", mint)
	}
	ended, _ := ExplainEvent(LinkUnavailable, EventDeliveryRejected)
	if !contains(ended.Title, "did not issue a connect link in time") || ended.Action != Resend {
		t.Errorf("a mint that was given up: %+v", ended)
	}
}

func contains(s string, parts ...string) bool {
	return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(s, p) })
}
