package invite_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	. "github.com/connectlink/connectlink/internal/invite"
)

var (
	noon  = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	first = New[DeliveryID]()
)

// at builds a state with one delivery.
func at(s Status, d DeliveryStatus) State {
	return State{
		Status: s, Progress: NotOpened, Channel: Email, ExpiresAt: noon.Add(4 * time.Hour), GivesUpAt: noon.Add(4 * time.Hour),
		Deliveries: []DeliveryState{{ID: first, Status: d, Channel: Email}},
	}
}

func about(t EventType, data Data) Event {
	return Event{Type: t, DeliveryID: first, Data: data, At: noon}
}

// TestStatusMatrix lists, for every status, the result of each event that
// may change it. Events that are not listed must change nothing.
func TestStatusMatrix(t *testing.T) {
	t.Parallel()
	changes := map[EventType]map[Status]Status{
		EventLinkMinted: {Scheduled: Active, Pending: Active},
		EventConnected: {Scheduled: Connected, Pending: Connected, Active: Connected, Expired: Connected,
			Failed: Connected},
		EventExpired:             {Scheduled: Expired, Pending: Expired, Active: Expired},
		EventRevoked:             {Scheduled: Revoked, Pending: Revoked, Active: Revoked, Expired: Revoked, Failed: Revoked},
		EventReplaced:            {Scheduled: Revoked, Pending: Revoked, Active: Revoked, Expired: Revoked, Failed: Revoked},
		EventErased:              {Scheduled: Revoked, Pending: Revoked, Active: Revoked, Expired: Revoked, Failed: Revoked},
		EventResent:              {Scheduled: Active, Pending: Active, Expired: Active, Failed: Active},
		EventReported:            {Scheduled: Revoked, Pending: Revoked, Active: Revoked, Expired: Revoked, Failed: Revoked},
		EventReportWithdrawn:     {Revoked: Pending},
		EventRenewed:             {Scheduled: Active, Pending: Active, Expired: Active, Failed: Active},
		EventDeliveryBounced:     {Scheduled: Failed, Pending: Failed, Active: Failed},
		EventDeliveryUndelivered: {Scheduled: Failed, Pending: Failed, Active: Failed},
		EventDeliveryRejected:    {Scheduled: Failed, Pending: Failed, Active: Failed},
		EventDeliverySuppressed:  {Scheduled: Failed, Pending: Failed, Active: Failed},
		EventDeliveryDelivered:   {Failed: Active},
		EventDeliveryComplained:  {Failed: Active}, // only who got it can complain
	}
	all := []EventType{
		EventCreated, EventLinkMinted, EventMintFailed, EventFetched, EventVisited, EventContinued, EventConnectFailed,
		EventConnected, EventAlreadyConnected, EventConnectedLate, EventExpired, EventResent, EventRenewed, EventExtended, EventReported, EventReportWithdrawn, EventAddressCorrected,
		EventRevoked, EventReplaced, EventErased, EventReminded, EventReminderSkipped, EventReplied, EventOptedOut, EventOptedIn, EventDeliverySending, EventDeliveryRetry, EventDeliveryAccepted, EventDeliverySent,
		EventDeliveryDeferred, EventDeliveryDelivered, EventDeliveryBounced, EventDeliveryUndelivered, EventDeliveryRejected,
		EventDeliverySuppressed, EventDeliveryComplained, EventDeliveryUnknown, EventDeliveryCanceled, EventDeliveryNoReceipt,
	}
	for _, from := range Statuses() {
		for _, typ := range all {
			t.Run(string(from)+" on "+string(typ), func(t *testing.T) {
				t.Parallel()
				before := at(from, Accepted)
				if from == Connected {
					before.AccountID = "apn_1"
				}
				after, _ := Fold(before, about(typ, Data{AccountID: "apn_2", HasLink: true, ExpiresAt: &noon}))
				want, ok := changes[typ][from]
				if !ok {
					want = from
				}
				if after.Status != want {
					t.Errorf("status = %s, want %s", after.Status, want)
				}
				if after.Version != before.Version+1 {
					t.Errorf("version grew by %d, want 1: every event stands on the timeline", after.Version-before.Version)
				}
			})
		}
	}
}

func TestConfirmedAccountFillsTheConnectionWhateverTheStatus(t *testing.T) {
	t.Parallel()
	for _, from := range Statuses() {
		s, _ := Fold(at(from, Accepted), about(EventConnected, Data{AccountID: "apn_1"}))
		if s.AccountID != "apn_1" || !s.ConnectedAt.Equal(noon) {
			t.Errorf("from %s: account %q at %s", from, s.AccountID, s.ConnectedAt)
		}
		again, effects := Fold(s, about(EventConnected, Data{AccountID: "apn_2"}))
		if again.AccountID != "apn_1" || len(effects) != 0 {
			t.Errorf("from %s: a second account replaced the first, effects %v", from, effects)
		}
	}
}

func TestEndsCancelWhatHasNotLeft(t *testing.T) {
	t.Parallel()
	for _, typ := range []EventType{EventConnected, EventExpired, EventRevoked, EventReplaced, EventErased, EventAddressCorrected} {
		s, _ := Fold(at(Active, Queued), about(typ, Data{AccountID: "apn_1"}))
		if got := s.Deliveries[0].Status; got != Canceled {
			t.Errorf("%s: queued became %s, want canceled", typ, got)
		}
		s, _ = Fold(at(Active, Sending), about(typ, Data{AccountID: "apn_1"}))
		if got := s.Deliveries[0].Status; got != Sending {
			t.Errorf("%s: sending became %s, want it left to its result", typ, got)
		}
	}
}

func TestAReminderThatFailsTakesNothingFromTheMessageBefore(t *testing.T) {
	t.Parallel()
	second := New[DeliveryID]()
	s, _ := Fold(at(Active, Delivered), Event{Type: EventDeliveryQueued, DeliveryID: second, Data: Data{Channel: Email, Kind: KindReminder}, At: noon})
	for _, typ := range []EventType{EventDeliveryBounced, EventDeliverySuppressed} {
		after, effects := Fold(s, Event{Type: typ, DeliveryID: second, Data: Data{Reason: AddressNotFound}, At: noon})
		if after.Status != Active || slices.Contains(effects, EffectPublishDeliveryFailed) || !slices.Contains(effects, EffectBlock) {
			t.Errorf("%s: %s, %v", typ, after.Status, effects)
		}
	}
	// The message itself still counts, though a reminder came after it.
	s.Deliveries[0].Status = Accepted
	if after, _ := Fold(s, about(EventDeliveryBounced, Data{Reason: AddressNotFound})); after.Status != Failed {
		t.Errorf("the message itself bounced, and the invite is %s", after.Status)
	}
}

func TestACanceledMessageYieldsToWhateverBecameOfIt(t *testing.T) {
	t.Parallel()
	for before, want := range map[DeliveryStatus]DeliveryStatus{
		Queued: Canceled, Sending: Canceled, Canceled: Canceled, Accepted: Accepted, Delivered: Delivered, Bounced: Bounced, Unknown: Unknown,
	} {
		s, effects := Fold(at(Revoked, before), about(EventDeliveryCanceled, Data{}))
		if got := s.Deliveries[0].Status; got != want || len(effects) != 0 {
			t.Errorf("%s became %s with %v, want %s", before, got, effects, want)
		}
	}
	s, _ := Fold(at(Revoked, Canceled), about(EventDeliveryAccepted, Data{}))
	if got := s.Deliveries[0].Status; got != Accepted {
		t.Errorf("a message that had left after all is %s", got)
	}
}

func TestRetryAfterTheEndIsCanceled(t *testing.T) {
	t.Parallel()
	s, _ := Fold(at(Revoked, Sending), about(EventDeliveryRetry, Data{}))
	if got := s.Deliveries[0].Status; got != Canceled {
		t.Errorf("delivery is %s, want canceled: nobody wants a dead link", got)
	}
}

// A failed invite comes back to life once a message gets through, so a message of
// one that is to be repeated is repeated.
func TestARetryIsCanceledOnlyWhereItsLinkIsDead(t *testing.T) {
	t.Parallel()
	for _, status := range Statuses() {
		want := Queued
		if status == Connected || status == Expired || status == Revoked {
			want = Canceled
		}
		s, _ := Fold(at(status, Sending), about(EventDeliveryRetry, Data{Reason: ProviderDown}))
		if d := s.Deliveries[0]; d.Status != want || d.Reason != ProviderDown || s.Status != status {
			t.Errorf("of a %s invite: delivery %s, reason %q, invite %s; want %s", status, d.Status, d.Reason, s.Status, want)
		}
	}
}

func TestAFailureOfAnEarlierMessageDoesNotFailTheInvite(t *testing.T) {
	t.Parallel()
	s := at(Active, Accepted)
	s, _ = Fold(s, Event{Type: EventDeliveryQueued, DeliveryID: New[DeliveryID](), Data: Data{Channel: SMS}, At: noon})
	s, effects := Fold(s, about(EventDeliveryBounced, Data{Reason: AddressNotFound}))
	if s.Status != Active || slices.Contains(effects, EffectPublishDeliveryFailed) {
		t.Errorf("status %s, effects %v: the later message may still get through", s.Status, effects)
	}
}

func TestAFailureAfterAVisitDoesNotFailTheInvite(t *testing.T) {
	t.Parallel()
	s, _ := Fold(at(Active, Delivered), about(EventVisited, Data{}))
	s, _ = Fold(s, Event{Type: EventDeliveryBounced, DeliveryID: first, At: noon.Add(time.Hour)})
	if s.Status != Active {
		t.Errorf("status = %s: the person has the link", s.Status)
	}
}

func TestResendRenewsWhatEnded(t *testing.T) {
	t.Parallel()
	end := noon.Add(8 * time.Hour)
	s, _ := Fold(at(Expired, Canceled), about(EventResent, Data{ExpiresAt: &end, HasLink: true, Channel: SMS}))
	if s.Status != Active || !s.ExpiresAt.Equal(end) || !s.GivesUpAt.Equal(end) || s.ResendCount != 1 || s.Channel != SMS {
		t.Errorf("after resend: %+v", s)
	}
	s, _ = Fold(at(Expired, Canceled), about(EventResent, Data{GivesUpAt: &end}))
	if s.Status != Pending || !s.ExpiresAt.IsZero() || !s.GivesUpAt.Equal(end) {
		t.Errorf("after a resend without a link: %+v", s)
	}
}

func TestRenewalIsNoResendOfTheProducts(t *testing.T) {
	t.Parallel()
	end := noon.Add(8 * time.Hour)
	s, effects := Fold(at(Expired, Canceled), about(EventRenewed, Data{GivesUpAt: &end}))
	if s.Status != Pending || !s.ExpiresAt.IsZero() || !s.GivesUpAt.Equal(end) || s.ResendCount != 0 || !slices.Equal(effects, []Effect{EffectPublishRenewed}) {
		t.Errorf("after a renewal: %+v, effects %v", s, effects)
	}
}

func TestExtensionMovesTheEndLaterOfWhatIsOpen(t *testing.T) {
	t.Parallel()
	old, end := noon.Add(4*time.Hour), noon.Add(72*time.Hour)
	for _, from := range Statuses() {
		want, effects := old, []Effect(nil)
		if from == Pending || from == Active || from == Failed {
			want, effects = end, []Effect{EffectPublishExtended}
		}
		before := at(from, Queued)
		s, got := Fold(before, about(EventExtended, Data{ExpiresAt: &end}))
		if !s.ExpiresAt.Equal(want) || !s.GivesUpAt.Equal(want) || !slices.Equal(got, effects) {
			t.Errorf("%s: ends at %s and %s, effects %v", from, s.ExpiresAt, s.GivesUpAt, got)
		}
		s.ExpiresAt, s.GivesUpAt, s.Version = before.ExpiresAt, before.GivesUpAt, before.Version
		if diff := cmp.Diff(before, s, cmp.AllowUnexported(DeliveryID{})); diff != "" {
			t.Errorf("%s: more than the end changed: %s", from, diff)
		}
	}
}

func TestExtensionNeverShortens(t *testing.T) {
	t.Parallel()
	old, earlier := noon.Add(4*time.Hour), noon.Add(3*time.Hour)
	for name, end := range map[string]*time.Time{"earlier": &earlier, "the same": &old, "none": nil} {
		s, effects := Fold(at(Active, Delivered), about(EventExtended, Data{ExpiresAt: end}))
		if !s.ExpiresAt.Equal(old) || !s.GivesUpAt.Equal(old) || len(effects) != 0 {
			t.Errorf("%s: ends at %s and %s, effects %v", name, s.ExpiresAt, s.GivesUpAt, effects)
		}
	}
}

// An invite that waits for its first link has no end yet, only a bound for the wait.
func TestExtensionIsTheEndOfAnInviteThatWaitsForItsLink(t *testing.T) {
	t.Parallel()
	bound, end, link := noon.Add(4*time.Hour), noon.Add(72*time.Hour), noon.Add(5*time.Hour)
	s, _ := Fold(State{Status: Pending, GivesUpAt: bound}, Event{Type: EventExtended, Data: Data{ExpiresAt: &end}, At: noon})
	s, _ = Fold(s, Event{Type: EventLinkMinted, Data: Data{ExpiresAt: &link}, At: noon})
	if s.Status != Active || !s.ExpiresAt.Equal(end) || !s.GivesUpAt.Equal(end) {
		t.Errorf("%s, ends at %s and %s", s.Status, s.ExpiresAt, s.GivesUpAt)
	}
}

func TestAReportEndsTheInviteAndTellsTheProductOnce(t *testing.T) {
	t.Parallel()
	s, effects := Fold(at(Active, Queued), about(EventReported, Data{}))
	if s.Status != Revoked || !s.RevokedAt.Equal(noon) || s.Deliveries[0].Status != Canceled {
		t.Errorf("after a report: %+v", s)
	}
	if diff := cmp.Diff([]Effect{EffectWipe, EffectPublishReported}, effects); diff != "" {
		t.Error(diff)
	}
	if _, again := Fold(s, about(EventReported, Data{})); len(again) != 0 {
		t.Errorf("a second report: effects %v", again)
	}
}

func TestARobotsPressIsNoProgress(t *testing.T) {
	t.Parallel()
	for class, want := range map[string]Progress{"": Continued, LooksLikePerson: Continued, LooksLikeScanner: NotOpened, LooksLikePreviewRobot: NotOpened} {
		if s, _ := Fold(at(Active, Delivered), about(EventContinued, Data{LooksLike: class})); s.Progress != want {
			t.Errorf("pressed by %q: progress %s, want %s", class, s.Progress, want)
		}
	}
}

func TestTheInvitesEndMovesWithTheFirstMintOnly(t *testing.T) {
	t.Parallel()
	end, later := noon.Add(time.Hour), noon.Add(9*time.Hour)
	s := State{Status: Pending, GivesUpAt: noon.Add(4 * time.Hour)}
	s, _ = Fold(s, Event{Type: EventLinkMinted, Data: Data{ExpiresAt: &end}, At: noon})
	s, _ = Fold(s, Event{Type: EventLinkMinted, Data: Data{ExpiresAt: &later}, At: noon})
	if !s.ExpiresAt.Equal(end) || !s.GivesUpAt.Equal(end) {
		t.Errorf("expires at %s, want %s", s.ExpiresAt, end)
	}
}

// facts are what providers report about one message that was sent, in an
// order that can happen.
var facts = [][]Event{
	{about(EventDeliveryAccepted, Data{}), about(EventDeliverySent, Data{}), later(EventDeliveryDelivered, 3)},
	{about(EventDeliveryAccepted, Data{}), later(EventDeliveryDeferred, 1), later(EventDeliveryDeferred, 2), later(EventDeliveryDelivered, 3)},
	{about(EventDeliveryAccepted, Data{}), later(EventDeliveryBounced, 2)},
	{about(EventDeliveryUnknown, Data{}), about(EventDeliveryAccepted, Data{}), later(EventDeliveryDelivered, 3)},
	{about(EventDeliveryAccepted, Data{}), later(EventDeliveryDelivered, 2), later(EventDeliveryBounced, 9)}, // a bounce that came late
	{about(EventDeliveryAccepted, Data{}), later(EventDeliveryUndelivered, 2), later(EventDeliveryDelivered, 9)},
	{about(EventDeliveryAccepted, Data{}), later(EventDeliveryDelivered, 2), later(EventDeliveryComplained, 5)},
	{about(EventDeliveryAccepted, Data{}), later(EventDeliverySuppressed, 1)},
}

func later(t EventType, minutes int) Event {
	e := about(t, Data{Reason: Reason(t)})
	e.At = noon.Add(time.Duration(minutes) * time.Minute)
	return e
}

// TestStaleEventOverNewerState: others let a late "sent" overwrite "delivered".
// Here any order, with any number of copies, ends as the true order does.
func TestStaleEventOverNewerState(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		story := rapid.SampledFrom(facts).Draw(t, "story")
		want := at(Active, Sending)
		for _, e := range story {
			want, _ = Fold(want, e)
		}
		var heard []Event
		for _, e := range story {
			for range rapid.IntRange(1, 46).Draw(t, "copies") {
				heard = append(heard, e)
			}
		}
		got := at(Active, Sending)
		for _, i := range rapid.Permutation(indexes(len(heard))).Draw(t, "order") {
			got, _ = Fold(got, heard[i])
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(State{}, "Version"), cmp.AllowUnexported(DeliveryID{})); diff != "" {
			t.Fatalf("the order changed the result (-in order +shuffled):\n%s", diff)
		}
	})
}

func indexes(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func TestEnoughLeft(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		granted, left time.Duration
		want          bool
	}{
		"a fresh link":                             {4 * time.Hour, 4 * time.Hour, true},
		"a quarter of an hour of four hours":       {4 * time.Hour, 15 * time.Minute, true},
		"less than that":                           {4 * time.Hour, 15*time.Minute - time.Second, false},
		"a quarter of a short life":                {8 * time.Minute, 2 * time.Minute, true},
		"less than a quarter of a short life":      {8 * time.Minute, 119 * time.Second, false},
		"nothing left of a life that was a second": {time.Second, 0, false},
		"already over":                             {4 * time.Hour, -time.Second, false},
	} {
		if got := EnoughLeft(c.granted, c.left); got != c.want {
			t.Errorf("%s: EnoughLeft = %t", name, got)
		}
	}
}

func TestEveryReasonIsExplained(t *testing.T) {
	t.Parallel()
	seen := map[Reason]bool{}
	for _, e := range Explanations() {
		if e.Title == "" || e.Advice == "" {
			t.Errorf("%s has no words", e.Code)
		}
		if seen[e.Code] {
			t.Errorf("%s stands twice", e.Code)
		}
		seen[e.Code] = true
	}
	if _, ok := Explain("made_up"); ok {
		t.Error("a reason that is not in the table was explained")
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	id := New[ID]()
	back, err := Parse[ID](id.String())
	if err != nil || back != id {
		t.Fatalf("Parse(%s) = %s, %v", id, back, err)
	}
	for _, bad := range []string{"", "inv_", id.String()[4:], "dlv_" + id.String()[4:], id.String() + "0", "inv_" + "zzzzzzzzzzzzzzzzzzzzzzzzzz"} {
		if _, err := Parse[ID](bad); err == nil {
			t.Errorf("Parse(%q) took it", bad)
		}
	}
	if got := (ID{}).String(); got != "" {
		t.Errorf("the zero id shows as %q", got)
	}
}
