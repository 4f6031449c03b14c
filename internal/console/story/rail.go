package story

import (
	"time"

	"github.com/connectlink/connectlink/internal/invite"
)

// StageState is how far an invite is with a stage.
type StageState string

// The states of a stage.
const (
	StageDone       StageState = "done"
	StageNow        StageState = "now"         // in progress, or the next to come; at most one
	StageFailed     StageState = "failed"      // the invite got no further here
	StageNotReached StageState = "not_reached" // nothing is known to have happened
	StageNotKnown   StageState = "not_known"   // it may have happened: nobody reported it
)

// Stage is one of the five stages of an invite: created, sent, delivered, opened,
// connected.
type Stage struct {
	State StageState
	Name  string
	Note  string    // the time since the stage before it, or the state in a word
	Words string    // all of it, for people who hear it
	At    time.Time // of a stage that is done; zero: not known
}

// Icon is the sign of the stage's state.
func (s Stage) Icon() string {
	switch s.State {
	case StageDone:
		return "check"
	case StageNow:
		return "clock"
	case StageFailed:
		return "alert"
	case StageNotKnown:
		return "help"
	case StageNotReached:
	}
	return "dot"
}

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
	left := took // when it was sent; of a message that nobody said they took, when it was handed over
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

// tell puts the stages into words.
func (r *rail) tell() []Stage {
	w := r.w
	names := [stages]string{w.T("Created"), w.T("Sent"), w.T("Delivered"), w.T("Opened"), w.T("Connected")}
	out := make([]Stage, 0, stages)
	before := created // the last stage whose time is known
	for place, at := range r.by {
		o := Stage{State: at.state, Name: names[place], Note: at.note, At: at.at}
		word := stateWord(w, at.state)
		switch {
		case at.state != StageDone && at.note == "":
			o.Note, o.Words = word, w.T("%s: %s", o.Name, word)
		case at.state != StageDone && at.note != word:
			o.Words = w.T("%s: %s", o.Name, w.T("%s, %s", word, at.note))
		case at.state != StageDone:
			o.Words = w.T("%s: %s", o.Name, word)
		default:
			o.Words = o.Name
			if gap, after, ok := r.gap(place, before); ok {
				o.Note, o.Words = gap, w.T("%s, %s", o.Name, after)
			}
			if !at.at.IsZero() {
				before = place
			}
		}
		out = append(out, o)
	}
	return out
}

// gap returns the time from an earlier stage to a later one, alone and in words. ok is
// false if a time is not known, or the clocks of the two contradict each other.
func (r *rail) gap(place, before int) (short, after string, ok bool) {
	from := r.by[before].at
	queued := before == created && r.began.After(from)
	if queued {
		from = r.began
	}
	d := r.by[place].at.Sub(from)
	if place == before || from.IsZero() || r.by[place].at.IsZero() || d <= -reportedWithin {
		return "", "", false
	}
	short = spanShort(r.w, d)
	switch {
	case queued:
		after = r.w.T("%s after this message was queued", short)
	case before == created:
		after = r.w.T("%s after it was created", short)
	case before == sent:
		after = r.w.T("%s after it was sent", short)
	case before == delivered:
		after = r.w.T("%s after it was delivered", short)
	default:
		after = r.w.T("%s after it was opened", short)
	}
	return short, after, true
}

// reportedWithin is how exact the times are that providers report: SendGrid and Twilio
// send whole seconds, so that a delivery can seem to come before the message was sent.
const reportedWithin = time.Second

func spanShort(w Words, d time.Duration) string {
	switch {
	case d < time.Second:
		return w.T("under 1 s")
	case d < time.Minute:
		return w.T("%d s", int(d/time.Second))
	}
	return w.Span(d)
}

func stateWord(w Words, s StageState) string {
	switch s {
	case StageNow:
		return w.T("Waiting")
	case StageFailed:
		return w.T("Failed")
	case StageNotKnown:
		return w.T("Not known")
	case StageDone, StageNotReached:
	}
	return w.T("Not reached")
}
