package invite_test

import (
	"slices"
	"testing"
	"time"

	. "github.com/connectlink/connectlink/internal/invite"
)

// waiting is an invite whose only message was taken, and that may fall back.
func waiting(f Fallback) State {
	s := at(Active, Accepted)
	s.Fallback = f
	return s
}

func TestAFailureIsNoneWhileThereIsAnotherWay(t *testing.T) {
	t.Parallel()
	for _, typ := range []EventType{EventDeliveryBounced, EventDeliveryUndelivered, EventDeliveryRejected, EventDeliverySuppressed} {
		for name, c := range map[string]struct {
			fallback Fallback
			due      time.Time
		}{
			"after a failure":        {Fallback{Channel: SMS, After: AfterFailure}, noon},
			"some time after it":     {Fallback{Channel: SMS, After: AfterFailure, Delay: time.Hour}, noon.Add(time.Hour)},
			"when not visited":       {Fallback{Channel: SMS, After: AfterNotVisited, Delay: time.Hour, At: noon.Add(30 * time.Minute)}, noon},
			"when its time was past": {Fallback{Channel: SMS, After: AfterNotVisited, At: noon.Add(-time.Minute)}, noon.Add(-time.Minute)},
		} {
			s, effects := Fold(waiting(c.fallback), about(typ, Data{Reason: AddressNotFound}))
			if s.Status != Active || slices.Contains(effects, EffectPublishDeliveryFailed) {
				t.Errorf("%s, %s: status %s, effects %v", typ, name, s.Status, effects)
			}
			if !s.Fallback.At.Equal(c.due) {
				t.Errorf("%s, %s: due %s, want %s", typ, name, s.Fallback.At, c.due)
			}
		}
	}
}

func TestTheFallbackFailsToo(t *testing.T) {
	t.Parallel()
	s, _ := Fold(waiting(Fallback{Channel: SMS, After: AfterFailure}), about(EventDeliveryBounced, Data{Reason: AddressNotFound}))
	s, _ = Fold(s, Event{Type: EventFallback, Data: Data{Channel: SMS}, At: noon})
	second := New[DeliveryID]()
	s, _ = Fold(s, Event{Type: EventDeliveryQueued, DeliveryID: second, Data: Data{Channel: SMS}, At: noon})
	if s.Fallback.Open() || s.Channel != SMS || s.Status != Active {
		t.Fatalf("after the fallback: %+v", s)
	}
	s, effects := Fold(s, Event{Type: EventDeliveryUndelivered, DeliveryID: second, Data: Data{Reason: NumberUnknown}, At: noon})
	if s.Status != Failed || !slices.Contains(effects, EffectPublishDeliveryFailed) {
		t.Errorf("status %s, effects %v: there is no third way", s.Status, effects)
	}
}

func TestASkippedFallbackMakesTheFailureCount(t *testing.T) {
	t.Parallel()
	s, _ := Fold(waiting(Fallback{Channel: SMS, After: AfterFailure}), about(EventDeliveryBounced, Data{Reason: AddressNotFound}))
	s, effects := Fold(s, Event{Type: EventFallbackSkipped, At: noon})
	if s.Status != Failed || !slices.Contains(effects, EffectPublishDeliveryFailed) || s.Fallback.Open() {
		t.Errorf("%s %v %+v", s.Status, effects, s.Fallback)
	}
	if s, effects = Fold(s, Event{Type: EventFallbackSkipped, At: noon}); s.Status != Failed || len(effects) != 0 {
		t.Errorf("twice: %s %v", s.Status, effects)
	}
	// Of a message that may still arrive, a skipped fallback says nothing.
	s, effects = Fold(waiting(Fallback{Channel: SMS, After: AfterNotVisited, At: noon}), Event{Type: EventFallbackSkipped, At: noon})
	if s.Status != Active || len(effects) != 0 {
		t.Errorf("%s %v", s.Status, effects)
	}
}

func TestWhatMakesAFallbackNeedless(t *testing.T) {
	t.Parallel()
	due := Fallback{Channel: SMS, After: AfterNotVisited, At: noon}
	for name, e := range map[string]Event{
		"a visit": {Type: EventVisited, At: noon}, "the button": {Type: EventContinued, At: noon},
		"the connection": {Type: EventConnected, Data: Data{AccountID: "apn_1"}, At: noon},
		"the end":        {Type: EventExpired, At: noon}, "a revocation": {Type: EventRevoked, At: noon},
		"a resend by that channel": {Type: EventResent, Data: Data{Channel: SMS}, At: noon},
	} {
		if s, _ := Fold(waiting(due), e); s.Fallback != (Fallback{}) {
			t.Errorf("%s leaves %+v", name, s.Fallback)
		}
	}
	for name, e := range map[string]Event{
		"a scanner": {Type: EventFetched, At: noon}, "a robot's press": {Type: EventContinued, Data: Data{LooksLike: LooksLikeScanner}, At: noon},
		"a resend by the first": {Type: EventResent, Data: Data{Channel: Email}, At: noon},
		"its arrival":           about(EventDeliveryDelivered, Data{}),
	} {
		if s, _ := Fold(waiting(due), e); s.Fallback != due {
			t.Errorf("%s leaves %+v", name, s.Fallback)
		}
	}
	// A failure that was never true.
	s, _ := Fold(waiting(Fallback{Channel: SMS, After: AfterFailure}), about(EventDeliveryBounced, Data{Reason: TechnicalFailure}))
	late := about(EventDeliveryDelivered, Data{})
	late.At = noon.Add(time.Minute)
	if s, _ = Fold(s, late); !s.Fallback.At.IsZero() || s.Status != Active {
		t.Errorf("after a late receipt: %s %+v", s.Status, s.Fallback)
	}
}

func TestDaytime(t *testing.T) {
	t.Parallel()
	zone := func(name string) *time.Location {
		z, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		return z
	}
	berlin, york, angeles, tokyo := zone("Europe/Berlin"), zone("America/New_York"), zone("America/Los_Angeles"), zone("Asia/Tokyo")
	at := func(z *time.Location, day, hour, minute int) time.Time {
		return time.Date(2026, time.March, day, hour, minute, 0, 0, z)
	}
	for name, c := range map[string]struct {
		now   time.Time
		zones []*time.Location
		want  time.Duration
	}{
		"noon":                      {at(berlin, 10, 12, 0), []*time.Location{berlin}, 0},
		"eight sharp":               {at(berlin, 10, 8, 0), []*time.Location{berlin}, 0},
		"a minute before":           {at(berlin, 10, 7, 59), []*time.Location{berlin}, time.Minute},
		"a minute before nine":      {at(berlin, 10, 20, 59), []*time.Location{berlin}, 0},
		"nine in the evening":       {at(berlin, 10, 21, 0), []*time.Location{berlin}, 11 * time.Hour},
		"midnight":                  {at(berlin, 10, 0, 0), []*time.Location{berlin}, 8 * time.Hour},
		"the night an hour is lost": {at(berlin, 28, 22, 0), []*time.Location{berlin}, 9 * time.Hour},
		"no zone known":             {time.Date(2026, 3, 10, 3, 0, 0, 0, time.UTC), nil, 5 * time.Hour},
		"day in the east only":      {at(york, 10, 9, 0), []*time.Location{york, angeles}, 2 * time.Hour},
		"day in the west only":      {at(york, 10, 22, 0), []*time.Location{york, angeles}, 13 * time.Hour},
		"day at last in both":       {at(york, 10, 11, 0), []*time.Location{york, angeles}, 0},
		"day in both for two hours": {at(york, 10, 22, 0), []*time.Location{york, tokyo}, 21 * time.Hour},
		"never day in all three":    {at(york, 10, 22, 0), []*time.Location{york, tokyo, zone("Europe/London")}, 10 * time.Hour},
	} {
		if got := UntilDaytime(c.now, c.zones...); got != c.want {
			t.Errorf("%s: wait %s, want %s", name, got, c.want)
		}
	}
}
