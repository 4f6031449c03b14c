package invite

import (
	"slices"
	"time"
)

// State is what the machine decides by: the invite's own standing and that of
// each of its deliveries.
type State struct {
	Status      Status
	Progress    Progress
	Channel     Channel
	ExpiresAt   time.Time // zero while nothing is minted and no valid_for was given
	GivesUpAt   time.Time
	AccountID   string
	ConnectedAt time.Time
	RevokedAt   time.Time
	ReplacedBy  string
	ResendCount int
	Version     int // number of the last event
	Fallback    Fallback
	Deliveries  []DeliveryState
}

// DeliveryState is one message's standing.
type DeliveryState struct {
	ID           DeliveryID
	Kind         string // KindPasscode, or empty or another for what carries the invite
	Status       DeliveryStatus
	Channel      Channel
	Reason       Reason
	ProviderCode string
	Provider     string
	// EndedAt is the provider's own time of the fact that stands; it decides
	// between two ends that both happened (a bounce that follows a delivery).
	EndedAt time.Time
	// Failure is the message's failure, also when a later delivery overrides
	// it; DeliveredAt is the time of the last delivery. Both are kept so that
	// three facts give the same result in any order.
	Failure     Failure
	DeliveredAt time.Time
}

// Latest returns the newest delivery that carries the invite; ok is false when
// nothing is sent for it.
func (s State) Latest() (DeliveryState, bool) {
	for _, d := range slices.Backward(s.Deliveries) {
		if d.Kind != KindPasscode {
			return d, true
		}
	}
	return DeliveryState{}, false
}

// last is the newest delivery on whose fate the invite's depends: neither a
// passcode's nor a reminder's. It is zero when there is none.
func (s State) last() DeliveryState {
	for _, d := range slices.Backward(s.Deliveries) {
		if d.Kind != KindPasscode && d.Kind != KindReminder {
			return d
		}
	}
	return DeliveryState{}
}

// Effect is what must follow from an event, in the transaction that records it.
type Effect string

const (
	// EffectWipe: links, tokens and codes are to be wiped; their hashes stay.
	EffectWipe Effect = "wipe"
	// EffectPublishConnected and its like tell the product.
	EffectPublishConnected      Effect = "publish invite.connected"
	EffectPublishConnectFailed  Effect = "publish invite.connect_failed"
	EffectPublishDeliveryFailed Effect = "publish invite.delivery_failed"
	EffectPublishExpired        Effect = "publish invite.expired"
	// EffectBlock: what became of a message means that its address is not to be
	// written to again; see BlockOf.
	EffectBlock           Effect = "block"
	EffectPublishReported Effect = "publish invite.reported"
	// EffectPublishReportWithdrawn follows on EffectPublishReported only.
	EffectPublishReportWithdrawn Effect = "publish invite.report_withdrawn"

	EffectPublishSent       Effect = "publish invite.sent"
	EffectPublishDelivered  Effect = "publish invite.delivered"
	EffectPublishDeferred   Effect = "publish invite.deferred"
	EffectPublishComplained Effect = "publish invite.complained"
	EffectPublishNoReceipt  Effect = "publish invite.no_receipt"
	EffectPublishOpened     Effect = "publish invite.opened" // by a person, for the first time
	EffectPublishContinued  Effect = "publish invite.continued"
	EffectPublishRevoked    Effect = "publish invite.revoked"
	EffectPublishResent     Effect = "publish invite.resent"
	EffectPublishRenewed    Effect = "publish invite.renewed"
	EffectPublishExtended   Effect = "publish invite.extended"
	EffectPublishReplaced   Effect = "publish invite.replaced"
	EffectPublishUnhealthy  Effect = "publish connection.unhealthy"
	EffectPublishRecovered  Effect = "publish connection.recovered"
	EffectPublishOptedOut   Effect = "publish recipient.opted_out" // STOP, or on the page
	EffectPublishOptedIn    Effect = "publish recipient.opted_in"  // START, or on the page
)

// Fold is the state machine: what one event makes of a state, and what must
// follow. It is pure. An event that changes nothing leaves the state as it
// is but for Version, because it still stands on the timeline.
//
// Facts arrive late, doubled and out of order, so no event is refused:
// ranks decide which of two facts stands, and the result does not depend on
// the order in which facts of providers come.
func Fold(s State, e Event) (State, []Effect) {
	s.Version++
	if status, ok := e.Type.deliveryStatus(); ok {
		return foldDelivery(s, e, status)
	}
	switch e.Type {
	case EventLinkMinted:
		return foldMinted(s, e), nil
	case EventMintFailed:
		return foldMintFailed(s, e), nil
	case EventFetched, EventAlreadyConnected, EventConnectedLate, EventCreated, EventCopied, EventConnectedAsOther,
		EventVerifyPassed, EventVerifyFailed, EventReminded, EventReminderSkipped, EventReconnectInvited, EventReconnectSkipped:
		return s, nil
	case EventConnectionUnhealthy:
		return s, []Effect{EffectPublishUnhealthy}
	case EventConnectionRecovered:
		return s, []Effect{EffectPublishRecovered}
	case EventReplied:
		return s, repliedEffects(e)
	case EventOptedOut: // like a reply, it changes the suppression list and not the invite
		return s, []Effect{EffectPublishOptedOut}
	case EventOptedIn:
		return s, []Effect{EffectPublishOptedIn}
	case EventAddressCorrected:
		return endDeliveries(s), nil // what waits would go to the wrong address
	case EventVisited:
		return foldVisited(s)
	case EventVerifyRequested:
		// A person who requests a passcode has read the page, with or without its
		// script.
		if e.Data.byPerson() {
			return foldVisited(s)
		}
		return s, nil
	case EventContinued:
		// A robot that pressed the button tells nothing of the person.
		if s.Status == Connected || !e.Data.byPerson() {
			return s, nil
		}
		before := s.Progress
		s.Progress, s.Fallback = Continued, Fallback{}
		return s, effectIf(before != Continued, EffectPublishContinued)
	case EventConnectFailed:
		if s.Status == Connected || s.Status == Revoked {
			return s, nil
		}
		s.Progress = ConnectFailed
		return s, []Effect{EffectPublishConnectFailed}
	case EventConnected:
		return foldConnected(s, e)
	case EventExpired:
		if !s.Status.Open() {
			return s, nil
		}
		s.Status, s.Fallback = Expired, Fallback{}
		return endDeliveries(s), []Effect{EffectWipe, EffectPublishExpired}
	case EventRevoked, EventReplaced, EventReported:
		return foldRevoked(s, e)
	case EventReportWithdrawn:
		return foldReportWithdrawn(s)
	case EventErased:
		return foldErased(s, e), []Effect{EffectWipe}
	case EventResent, EventRenewed:
		return foldRenewed(s, e)
	case EventExtended:
		return foldExtended(s, e)
	case EventFallback:
		s.Fallback = Fallback{}
		if e.Data.Channel != "" {
			s.Channel = e.Data.Channel // the way by which a resend goes too
		}
		return s, nil
	case EventFallbackSkipped:
		return foldSkipped(s)
	case EventDeliveryRetry:
		return foldRetry(s, e), nil
	case EventDeliveryNoReceipt:
		return foldNoReceipt(s, e)
	}
	return s, nil
}

// foldSkipped is where a failure counts after all: nothing else will be tried.
func foldSkipped(s State) (State, []Effect) {
	open := s.Fallback.Open()
	s.Fallback = Fallback{}
	if last, ok := s.Latest(); open && ok && last.Status.DidNotArrive() && s.Status.Open() && s.Progress == NotOpened {
		s.Status = Failed
		return s, []Effect{EffectPublishDeliveryFailed}
	}
	return s, nil
}

func foldVisited(s State) (State, []Effect) {
	first := s.Progress == NotOpened
	if first {
		s.Progress = Visited
	}
	s.Fallback = Fallback{} // the message found its reader
	return s, effectIf(first, EffectPublishOpened)
}

func effectIf(follows bool, e Effect) []Effect {
	if !follows {
		return nil
	}
	return []Effect{e}
}

// repliedEffects are those of a reply with a keyword of the carriers. They change
// the suppression list and not the invite.
func repliedEffects(e Event) []Effect {
	switch e.Data.Outcome {
	case RepliedStop:
		return []Effect{EffectPublishOptedOut}
	case RepliedStart:
		return []Effect{EffectPublishOptedIn}
	}
	return nil
}

// byPerson reports whether what happened was not a robot's doing.
func (d Data) byPerson() bool { return d.LooksLike == "" || d.LooksLike == LooksLikePerson }

// foldMintFailed notes why a message waits for its link. Without a delivery the
// event is of a press on the page, which waits for nothing.
func foldMintFailed(s State, e Event) State {
	s, d := s.delivery(e.DeliveryID)
	if d != nil && d.Status == Queued && e.Data.Reason != "" {
		d.Reason = e.Data.Reason
	}
	return s
}

func foldMinted(s State, e Event) State {
	s.Deliveries = append([]DeliveryState(nil), s.Deliveries...)
	for i, d := range s.Deliveries {
		// Without a provider it was never sent: what it waited for was the link.
		if d.Status == Queued && d.Provider == "" {
			s.Deliveries[i].Reason = ""
		}
	}
	if s.Status == Pending || s.Status == Scheduled {
		s.Status = Active
	}
	// The invite's own end moves with a mint only when it never had one:
	// afterwards only a resend or a renewal moves it.
	if s.ExpiresAt.IsZero() && e.Data.ExpiresAt != nil {
		s.ExpiresAt = *e.Data.ExpiresAt
		s.GivesUpAt = s.ExpiresAt
	}
	return s
}

func foldConnected(s State, e Event) (State, []Effect) {
	if s.AccountID != "" {
		return s, nil
	}
	// A confirmed account always fills the connection, in any status.
	s.AccountID, s.ConnectedAt = e.Data.AccountID, e.At
	s.Progress = Continued // an earlier try's failure is history
	if s.Status == Revoked {
		return s, nil
	}
	s.Status, s.Fallback = Connected, Fallback{}
	return endDeliveries(s), []Effect{EffectWipe, EffectPublishConnected}
}

func foldRevoked(s State, e Event) (State, []Effect) {
	if s.Status == Connected || s.Status == Revoked {
		return s, nil
	}
	s.Status, s.RevokedAt, s.Fallback = Revoked, e.At, Fallback{}
	if e.Type == EventReplaced {
		s.ReplacedBy = e.Data.ReplacedBy
	}
	told := EffectPublishRevoked
	switch e.Type {
	case EventReported:
		told = EffectPublishReported
	case EventReplaced:
		told = EffectPublishReplaced
	}
	return endDeliveries(s), []Effect{EffectWipe, told}
}

// foldReportWithdrawn gives an invite back that its recipient reported by mistake.
// Visit appends the event to a report only that nothing else followed. The links
// were wiped, so it waits for one.
func foldReportWithdrawn(s State) (State, []Effect) {
	if s.Status != Revoked || s.ReplacedBy != "" || s.AccountID != "" {
		return s, nil
	}
	s.Status, s.RevokedAt = Pending, time.Time{}
	return s, []Effect{EffectPublishReportWithdrawn}
}

// foldErased ends an invite for good, because its recipient is unknown from now
// on. A connected one stays connected, because the product's account remains.
func foldErased(s State, e Event) State {
	s.Fallback = Fallback{}
	if s.Status != Connected && s.Status != Revoked {
		s.Status, s.RevokedAt = Revoked, e.At
	}
	return endDeliveries(s)
}

// foldRenewed is the machine's one backward edge: a resend by the product, or
// a renewal by the recipient, gives an invite that ended a new life.
func foldRenewed(s State, e Event) (State, []Effect) {
	if s.Status == Connected || s.Status == Revoked {
		return s, nil
	}
	told := EffectPublishRenewed
	if e.Type == EventResent {
		told = EffectPublishResent
		s.ResendCount++
	}
	s.Status = Pending
	if e.Data.HasLink {
		s.Status = Active
	}
	s.ExpiresAt = time.Time{}
	if e.Data.GivesUpAt != nil {
		s.GivesUpAt = *e.Data.GivesUpAt
	}
	if e.Data.ExpiresAt != nil {
		s.ExpiresAt, s.GivesUpAt = *e.Data.ExpiresAt, *e.Data.ExpiresAt
	}
	if e.Data.Channel != "" {
		s.Channel = e.Data.Channel
	}
	if s.Channel == s.Fallback.Channel {
		s.Fallback = Fallback{} // it was not waited for
	}
	return s, []Effect{told}
}

// foldExtended moves the end of an invite whose link works: later, never earlier.
// Messages and links stay as they are.
func foldExtended(s State, e Event) (State, []Effect) {
	if !s.Status.Extendable() || e.Data.ExpiresAt == nil || !e.Data.ExpiresAt.After(s.GivesUpAt) {
		return s, nil
	}
	s.ExpiresAt, s.GivesUpAt = *e.Data.ExpiresAt, *e.Data.ExpiresAt
	return s, []Effect{EffectPublishExtended}
}

// endDeliveries cancels messages that were not sent: their link no longer
// works. A message that is being sent is finished, and its result is
// recorded.
func endDeliveries(s State) State {
	s.Deliveries = append([]DeliveryState(nil), s.Deliveries...)
	for i := range s.Deliveries {
		if s.Deliveries[i].Status == Queued {
			s.Deliveries[i].Status = Canceled
		}
	}
	return s
}

func (s State) delivery(id DeliveryID) (State, *DeliveryState) {
	for i := range s.Deliveries {
		if s.Deliveries[i].ID == id {
			s.Deliveries = append([]DeliveryState(nil), s.Deliveries...)
			return s, &s.Deliveries[i]
		}
	}
	return s, nil
}

func foldRetry(s State, e Event) State {
	s, d := s.delivery(e.DeliveryID)
	if d != nil && d.Status == Queued && e.Data.Reason == SendingPaused {
		d.Reason = SendingPaused // no attempt was begun
		return s
	}
	if d == nil || d.Status != Sending {
		return s
	}
	d.Status = Queued
	if !s.Status.Open() && s.Status != Failed {
		d.Status = Canceled // the invite ended during the call
	}
	d.Reason, d.ProviderCode, d.Provider = e.Data.Reason, e.Data.ProviderCode, e.Data.Provider
	return s
}

func foldNoReceipt(s State, e Event) (State, []Effect) {
	s, d := s.delivery(e.DeliveryID)
	if d == nil || d.Status != Accepted && d.Status != Sent {
		return s, nil
	}
	first := d.Reason != NoReceipt
	d.Reason = NoReceipt // the status stays: it was accepted, and no report came
	return s, effectIf(first && d.Kind != KindPasscode, EffectPublishNoReceipt)
}
