package story

import "time"

// StageState is how far an invite is with a stage.
type StageState string

// The states of a stage.
const (
	StageDone       StageState = "done"
	StageNow        StageState = "now"         // in progress, or the next to come; at most one
	StageFailed     StageState = "failed"      // the invite got no further here
	StageNotReached StageState = "not_reached" // nothing is known to have happened
	StageNotKnown   StageState = "not_known"   // it may have happened without a report
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

// tell puts the stages into words.
func (r *rail) tell() []Stage {
	w := r.w
	names := [stages]string{w.T("Created"), w.T("Sent"), w.T("Delivered"), w.T("Opened"), w.T("Connected")}
	failed := [stages]string{sent: w.T("Not sent"), delivered: w.T("Not delivered"), connected: w.T("Not connected")}
	out := make([]Stage, 0, stages)
	before := created // the last stage whose time is known
	for place, at := range r.by {
		o := Stage{State: at.state, Name: names[place], Note: at.note, At: at.at}
		word := stateWord(w, at.state)
		if at.state == StageFailed && failed[place] != "" { // a red "Delivered" reads as if it was
			if o.Name = failed[place]; o.Note == o.Name {
				o.Note, at.note = "", ""
			} else if o.Note != "" {
				word = o.Note
			}
		}
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
