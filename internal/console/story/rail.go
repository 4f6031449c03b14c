package story

import (
	"time"

	"github.com/connectlink/connectlink/internal/invite"
)

// Rail returns the stages of an invite as they stand. They tell of the newest message
// only, so a resend begins a new lap; what the person did counts where Sentence tells
// it. events are those of the invite, oldest first.
func Rail(w Words, s Situation, events []Happened) []Stage {
	r := rail{w: w, s: s, events: events}
	r.created()
	r.message()
	r.person()
	r.settle()
	return r.tell()
}

// The stages by their place.
const (
	created = iota
	sent
	delivered
	opened
	connected
	stages
)

type stage struct {
	state StageState
	note  string // a word in place of the state's
	at    time.Time
}

type rail struct {
	w      Words
	s      Situation
	events []Happened
	began  time.Time // of the newest message, if it is not the first one
	by     [stages]stage
}

func (r *rail) set(place int, state StageState, note string) {
	r.by[place] = stage{state: state, note: note}
}

func (r *rail) created() {
	for place := range r.by {
		r.by[place].state = StageNotReached
	}
	r.by[created].state = StageDone
	for _, e := range r.events {
		if e.Type == invite.EventCreated {
			r.by[created].at = e.At
		}
		if m := r.s.Message; m != nil && e.Type == invite.EventDeliveryQueued && e.DeliveryID == m.ID {
			r.began = m.Began
		}
	}
}

// message fills in what became of the newest message.
func (r *rail) message() {
	m := r.s.Message
	switch {
	case r.s.Status == invite.Scheduled:
		r.set(sent, StageNow, r.w.T("Scheduled"))
		return
	case m == nil:
		r.set(sent, StageNotReached, r.w.T("No message"))
		r.set(delivered, StageNotReached, r.w.T("No message"))
		r.set(opened, StageNow, "")
		return
	}
	took := r.first(invite.EventDeliveryAccepted, invite.EventDeliverySent, invite.EventDeliveryDeferred)
	left := took // when it was sent; without an acceptance by the provider, when it was handed over
	if left.IsZero() {
		left = r.last(invite.EventDeliverySending)
	}
	r.by[sent] = stage{state: StageDone, at: left}
	switch m.Status {
	case invite.Queued:
		r.set(sent, StageNow, "")
	case invite.Sending:
		r.set(sent, StageNow, r.w.T("Sending"))
	case invite.Accepted, invite.Sent:
		if m.Reason == invite.NoReceipt {
			r.set(delivered, StageNotKnown, "")
			r.set(opened, StageNow, "")
			return
		}
		r.set(delivered, StageNow, "")
	case invite.Deferred:
		r.set(delivered, StageNow, r.w.T("Delayed"))
	case invite.Delivered:
		r.by[delivered] = stage{state: StageDone, at: r.first(invite.EventDeliveryDelivered)}
		r.set(opened, StageNow, "")
	case invite.Complained:
		r.by[delivered] = stage{state: StageDone, at: r.first(invite.EventDeliveryDelivered)}
		r.set(opened, StageFailed, r.w.T("Marked as spam"))
	case invite.Bounced:
		r.set(delivered, StageFailed, r.w.T("Bounced"))
	case invite.Undelivered:
		r.set(delivered, StageFailed, r.w.T("Not delivered"))
	case invite.Rejected:
		if took.IsZero() {
			r.set(sent, StageFailed, r.w.T("Rejected"))
			return
		}
		r.set(delivered, StageFailed, r.w.T("Rejected"))
	case invite.Suppressed:
		r.set(sent, StageFailed, r.w.T("Blocked"))
	case invite.Canceled:
		r.set(sent, StageNotReached, r.w.T("Cancelled"))
	case invite.Unknown:
		r.set(sent, StageNotKnown, "")
		r.set(delivered, StageNotKnown, "")
		r.set(opened, StageNow, "")
	}
}

// first is when the newest message first had one of these events; zero: never.
func (r *rail) first(types ...invite.EventType) time.Time {
	for _, t := range types {
		for _, e := range r.events {
			if e.Type == t && e.DeliveryID == r.s.Message.ID {
				return e.At
			}
		}
	}
	return time.Time{}
}

// last is when the newest message last had an event; zero: never.
func (r *rail) last(t invite.EventType) (at time.Time) {
	for _, e := range r.events {
		if e.Type == t && e.DeliveryID == r.s.Message.ID {
			at = e.At
		}
	}
	return at
}

// person fills in how far the person got.
func (r *rail) person() {
	s := r.s
	underWay := s.Status == invite.Pending || s.Status == invite.Active || s.Status == invite.Failed
	if s.Progress != invite.NotOpened && (!underWay || !s.Newer()) {
		r.by[opened] = stage{state: StageDone, at: r.openedAt()}
		r.set(connected, StageNow, "")
		if s.Progress == invite.ConnectFailed {
			r.set(connected, StageFailed, "")
		}
	}
	if s.Status == invite.Connected || !s.Connected.IsZero() {
		r.by[connected] = stage{state: StageDone, at: s.Connected}
	}
}

// openedAt is when the person first opened the link after the newest message was asked
// for; else when they last did anything.
func (r *rail) openedAt() time.Time {
	for _, e := range r.events {
		if _, ok := PersonReached(e.Type, e.Data); ok && !e.At.Before(r.began) {
			return e.At
		}
	}
	return r.s.SeenAt
}

// PersonReached returns how far a person got by an event; ok is false for what no
// person did.
func PersonReached(t invite.EventType, data invite.Data) (reached invite.Progress, ok bool) {
	switch t {
	case invite.EventVisited, invite.EventVerifyRequested:
		reached = invite.Visited
	case invite.EventContinued:
		reached = invite.Continued
	case invite.EventConnectFailed:
		return invite.ConnectFailed, true // no robot signs in
	}
	return reached, reached != "" && (data.LooksLike == "" || data.LooksLike == invite.LooksLikePerson)
}

// settle takes back what later stages and the end of the invite contradict.
func (r *rail) settle() {
	connectedToo := r.by[connected].state == StageDone
	if connectedToo && r.by[opened].state != StageDone {
		r.set(opened, StageNotKnown, "")
	}
	if connectedToo || r.by[opened].state == StageDone {
		// The person came by a link that they got in another way.
		if r.by[sent].state == StageNow {
			r.by[sent].state = StageNotReached
		}
		gone := r.by[sent].state == StageDone || r.by[sent].state == StageNotKnown
		if at := r.by[delivered].state; gone && (at == StageNow || at == StageNotReached) {
			r.set(delivered, StageNotKnown, "")
		}
	}
	end := ""
	switch {
	case r.by[connected].state == StageDone:
	case r.s.Status == invite.Expired:
		end = r.w.T("Expired")
	case r.s.Status == invite.Revoked:
		end = r.w.T("Revoked")
	default:
		return
	}
	for place := range r.by {
		if r.by[place].state == StageNow {
			r.set(place, StageNotReached, end)
		}
	}
}
