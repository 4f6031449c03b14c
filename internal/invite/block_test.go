package invite_test

import (
	"slices"
	"testing"

	. "github.com/connectlink/connectlink/internal/invite"
)

func TestWhatBlocksAnAddress(t *testing.T) {
	t.Parallel()
	blocks := map[DeliveryStatus]map[Reason]Block{
		Bounced:     {AddressNotFound: HardBounce},
		Suppressed:  {AddressNotFound: HardBounce, SuppressedBefore: HardBounce, MarkedSpam: SpamReport},
		Complained:  {},
		Undelivered: {},
		Rejected:    {AddressNotFound: HardBounce},
	}
	for _, e := range Explanations() {
		blocks[Complained][e.Code] = SpamReport
	}
	for _, s := range []DeliveryStatus{Bounced, Suppressed, Undelivered, Rejected} {
		blocks[s][AddressNotFound] = HardBounce
		blocks[s][OptedOut] = OptOut
		blocks[s][Unsubscribed] = UnsubscribedBlock
		for _, r := range []Reason{Landline, NumberUnknown, InvalidNumber} {
			blocks[s][r] = BadNumber
		}
	}
	for _, s := range DeliveryStatuses() {
		for _, e := range Explanations() {
			got, ok := BlockOf(s, e.Code)
			if want := blocks[s][e.Code]; got != want || ok != (want != "") {
				t.Errorf("%s with %s blocks with %q, want %q", s, e.Code, got, want)
			}
			_, effects := Fold(at(Active, Accepted), about(DeliveryEvent(s), Data{Reason: e.Code}))
			if s.Ended() && s != Canceled && s != Unknown && slices.Contains(effects, EffectBlock) != ok {
				t.Errorf("%s with %s: effects %v", s, e.Code, effects)
			}
		}
	}
}

func TestABlockIsExplained(t *testing.T) {
	t.Parallel()
	for _, b := range Blocks() {
		if _, ok := Explain(b.Reason()); !ok {
			t.Errorf("%s has no words", b)
		}
		if b.Liftable() != (b != OptOut && b != UnsubscribedBlock) {
			t.Errorf("%s: only the person may undo an opt-out, and only that", b)
		}
	}
}

func TestEveryBlockHasASeverity(t *testing.T) {
	t.Parallel()
	ranks := map[int]Block{}
	for _, b := range Blocks() {
		n := len(b.Milder())
		if other, taken := ranks[n]; taken {
			t.Errorf("%s and %s have the same severity", b, other)
		}
		ranks[n] = b
	}
	if ranks[0] != BadNumber || len(OptOut.Milder()) != len(Blocks())-1 {
		t.Errorf("severities %v", ranks)
	}
	if list := Block("of a later release").Milder(); len(list) != 0 {
		t.Errorf("an unknown block outweighs %v", list)
	}
}
