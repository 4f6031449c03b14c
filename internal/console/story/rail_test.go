package story_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/console/story"
	"github.com/connectlink/connectlink/internal/invite"
)

// shape is the states of stages as letters: Done, Now, Failed, "-" for not reached,
// "?" for not known.
func shape(list []story.Stage) string {
	letters := map[story.StageState]string{story.StageDone: "D", story.StageNow: "N", story.StageFailed: "F", story.StageNotReached: "-", story.StageNotKnown: "?"}
	var b strings.Builder
	for _, s := range list {
		b.WriteString(letters[s.State])
	}
	return b.String()
}

// traveled is an invite whose first message is id, as its events tell: created an hour
// ago, and each other event so much later.
func traveled(id invite.DeliveryID, later ...any) (events []story.Happened) {
	at := now().Add(-time.Hour)
	events = append(events, story.Happened{Type: invite.EventCreated, At: at})
	for i := 0; i < len(later); i += 2 {
		events = append(events, story.Happened{Type: later[i].(invite.EventType), DeliveryID: id, At: at.Add(later[i+1].(time.Duration))})
	}
	return events
}

// Every status of a message has its stages. A new one fails here until it has.
func TestTheRailShowsWhereAMessageIs(t *testing.T) {
	t.Parallel()
	want := map[invite.DeliveryStatus]string{
		invite.Queued: "DN---", invite.Sending: "DN---", invite.Accepted: "DDN--", invite.Sent: "DDN--", invite.Deferred: "DDN--", invite.Delivered: "DDDN-",
		invite.Bounced: "DDF--", invite.Undelivered: "DDF--", invite.Rejected: "DF---", invite.Suppressed: "DF---", invite.Complained: "DDDF-",
		invite.Canceled: "D----", invite.Unknown: "D??N-",
	}
	notes := map[invite.DeliveryStatus]string{ // of the stage at which it is
		invite.Queued: "Waiting", invite.Sending: "Sending", invite.Accepted: "Waiting", invite.Sent: "Waiting", invite.Deferred: "Delayed", invite.Delivered: "Waiting",
		invite.Bounced: "Bounced", invite.Undelivered: "Failed", invite.Rejected: "Rejected", invite.Suppressed: "Blocked", invite.Complained: "Marked as spam",
		invite.Canceled: "Cancelled", invite.Unknown: "Waiting",
	}
	if len(want) != len(invite.DeliveryStatuses()) {
		t.Errorf("%d statuses are expected here, and there are %d", len(want), len(invite.DeliveryStatuses()))
	}
	for _, status := range invite.DeliveryStatuses() {
		s := story.Situation{Status: invite.Active, Progress: invite.NotOpened, Now: now(), Message: sent(status, "")}
		list := story.Rail(english{now()}, s, traveled(invite.DeliveryID{}, invite.EventDeliverySending, time.Second))
		if got := shape(list); got != want[status] {
			t.Errorf("%s: %s, want %q", status, got, want[status])
		}
		if !slices.ContainsFunc(list, func(at story.Stage) bool { return at.Note == notes[status] && at.State != story.StageDone }) {
			t.Errorf("%s: no stage has the note %q: %+v", status, notes[status], list)
		}
	}
}

// Every status and progress of an invite has its stages.
func TestTheRailShowsWhereAnInviteIs(t *testing.T) {
	t.Parallel()
	want := map[invite.Status]map[invite.Progress]string{ // with a delivered message
		invite.Scheduled: {invite.NotOpened: "DN---"},
		invite.Pending:   {invite.NotOpened: "DDDN-", invite.Visited: "DDDDN", invite.Continued: "DDDDN", invite.ConnectFailed: "DDDDF"},
		invite.Active:    {invite.NotOpened: "DDDN-", invite.Visited: "DDDDN", invite.Continued: "DDDDN", invite.ConnectFailed: "DDDDF"},
		invite.Failed:    {invite.NotOpened: "DDDN-", invite.Visited: "DDDDN", invite.Continued: "DDDDN", invite.ConnectFailed: "DDDDF"},
		invite.Connected: {invite.NotOpened: "DDD?D", invite.Visited: "DDDDD", invite.Continued: "DDDDD", invite.ConnectFailed: "DDDDD"},
		invite.Expired:   {invite.NotOpened: "DDD--", invite.Visited: "DDDD-", invite.Continued: "DDDD-", invite.ConnectFailed: "DDDDF"},
		invite.Revoked:   {invite.NotOpened: "DDD--", invite.Visited: "DDDD-", invite.Continued: "DDDD-", invite.ConnectFailed: "DDDDF"},
	}
	for _, status := range invite.Statuses() {
		for _, progress := range invite.Progresses() {
			s := story.Situation{Status: status, Progress: progress, Now: now(), Message: sent(invite.Delivered, "")}
			expected, ok := want[status][progress]
			if !ok && status != invite.Scheduled { // nothing is sent yet that could be opened
				t.Errorf("%s, %s: not expected here", status, progress)
			}
			if got := shape(story.Rail(english{now()}, s, nil)); ok && got != expected {
				t.Errorf("%s, %s: %s, want %q", status, progress, got, expected)
			}
		}
	}
}

// The rail says nothing is done of which the sentence says that it is not.
func TestTheRailAgreesWithTheSentence(t *testing.T) {
	t.Parallel()
	w := english{now()}
	for _, status := range invite.Statuses() {
		for _, progress := range invite.Progresses() {
			for _, delivery := range append(invite.DeliveryStatuses(), "") {
				for name, seen := range map[string]time.Duration{"never": 0, "before the message": 2 * time.Hour, "after it": time.Minute} {
					s := story.Situation{Status: status, Progress: progress, App: "Slack", To: "p••@c•••.example", Now: now(), EndedAt: now()}
					if delivery != "" {
						s.Message = sent(delivery, "")
						s.Message.Began = now().Add(-time.Hour)
					}
					if seen > 0 {
						s.SeenAt = now().Add(-seen)
					}
					if status == invite.Connected {
						s.Connected = now()
					}
					at := fmt.Sprintf("%s, %s, %s, seen %s", status, progress, delivery, name)
					list := story.Rail(w, s, nil)
					sentence := plain(story.Sentence(w, s))
					if len(list) != 5 || strings.Count(shape(list), "N") > 1 {
						t.Fatalf("%s: %s", at, shape(list))
					}
					is := func(place int, state story.StageState) bool { return list[place].State == state }
					for text, wrong := range map[string]bool{
						"Will be sent":    !is(1, story.StageNow) && !is(1, story.StageNotReached),
						"Waiting to be":   is(1, story.StageDone),
						"Being sent":      is(1, story.StageDone),
						"before it was s": is(1, story.StageDone) || is(2, story.StageDone),
						"whether the mes": is(1, story.StageDone) || is(2, story.StageDone),
						"Did not reach":   is(2, story.StageDone) || !is(1, story.StageFailed) && !is(2, story.StageFailed),
						"Delivered to":    !is(2, story.StageDone),
						"was delivered":   !is(2, story.StageDone),
						"not confirmed":   is(2, story.StageDone),
						"Delayed":         is(2, story.StageDone),
						"not opened":      is(3, story.StageDone),
						"person opened":   !is(3, story.StageDone) || is(4, story.StageDone),
						"continued to":    !is(3, story.StageDone) || is(4, story.StageDone),
						"failed to conn":  !is(3, story.StageDone) || !is(4, story.StageFailed),
						"Connected":       !is(4, story.StageDone),
						"Expired":         strings.Contains(shape(list), "N"),
						"Revoked":         strings.Contains(shape(list), "N"),
					} {
						if strings.Contains(sentence, text) && wrong {
							t.Errorf("%s: the sentence is %q, the stages are %s", at, sentence, shape(list))
						}
					}
					for _, o := range list {
						if o.Name == "" || !strings.HasPrefix(o.Words, o.Name) || strings.Contains(o.Words+o.Note, "%!") || o.State != story.StageDone && o.Note == "" {
							t.Errorf("%s: %+v", at, o)
						}
					}
				}
			}
		}
	}
}

func TestTheRailTellsTheTimeBetweenStages(t *testing.T) {
	t.Parallel()
	first, second := invite.New[invite.DeliveryID](), invite.New[invite.DeliveryID]()
	hour := now().Add(-time.Hour)
	whole := traveled(first, invite.EventDeliverySending, time.Second, invite.EventDeliveryAccepted, 2*time.Second, invite.EventDeliveryDelivered, 6*time.Second)
	robot := story.Happened{Type: invite.EventVisited, At: hour.Add(7 * time.Second), Data: invite.Data{LooksLike: invite.LooksLikeScanner}}
	visited := story.Happened{Type: invite.EventVisited, At: hour.Add(30 * time.Minute), Data: invite.Data{LooksLike: invite.LooksLikePerson}}
	again := []story.Happened{
		{Type: invite.EventResent, At: hour.Add(40 * time.Minute)},
		{Type: invite.EventDeliveryQueued, DeliveryID: second, At: hour.Add(40 * time.Minute)},
		{Type: invite.EventDeliveryAccepted, DeliveryID: second, At: hour.Add(40*time.Minute + 3*time.Second)},
	}
	message := func(id invite.DeliveryID, status invite.DeliveryStatus, began time.Duration) *story.Message {
		return &story.Message{ID: id, Status: status, Channel: invite.Email, At: now(), Began: hour.Add(began)}
	}
	for name, c := range map[string]struct {
		s      story.Situation
		events []story.Happened
		want   []string
	}{
		"to the end": {
			story.Situation{Status: invite.Connected, Progress: invite.Continued, SeenAt: visited.At, Connected: hour.Add(30*time.Minute + 40*time.Second), Message: message(first, invite.Delivered, 0)},
			append(slices.Clone(whole), robot, visited),
			[]string{"Created", "Sent, 2 s after it was created", "Delivered, 4 s after it was sent", "Opened, 29m54s after it was delivered", "Connected, 40 s after it was opened"},
		},
		"a resend begins a new lap": {
			story.Situation{Status: invite.Active, Progress: invite.Visited, SeenAt: visited.At, Message: message(second, invite.Accepted, 40*time.Minute)},
			append(append(slices.Clone(whole), visited), again...),
			[]string{"Created", "Sent, 3 s after this message was queued", "Delivered: Waiting", "Opened: Not reached", "Connected: Not reached"},
		},
		"the person came back after the resend": {
			story.Situation{Status: invite.Active, Progress: invite.Visited, SeenAt: hour.Add(50 * time.Minute), Message: message(second, invite.Accepted, 40*time.Minute)},
			append(append(append(slices.Clone(whole), visited), again...), story.Happened{Type: invite.EventVisited, At: hour.Add(50 * time.Minute)}),
			[]string{"Created", "Sent, 3 s after this message was queued", "Delivered: Not known", "Opened, 9m57s after it was sent", "Connected: Waiting"},
		},
		"a provider's whole seconds": {
			story.Situation{Status: invite.Active, Progress: invite.NotOpened, Message: message(first, invite.Delivered, 0)},
			traveled(first, invite.EventDeliveryAccepted, 2900*time.Millisecond, invite.EventDeliveryDelivered, 2*time.Second),
			[]string{"Created", "Sent, 2 s after it was created", "Delivered, under 1 s after it was sent", "Opened: Waiting", "Connected: Not reached"},
		},
		"clocks that contradict each other": {
			story.Situation{Status: invite.Active, Progress: invite.NotOpened, Message: message(first, invite.Delivered, 0)},
			traveled(first, invite.EventDeliveryAccepted, 9*time.Second, invite.EventDeliveryDelivered, 2*time.Second),
			[]string{"Created", "Sent, 9 s after it was created", "Delivered", "Opened: Waiting", "Connected: Not reached"},
		},
		"no delivery reports": {
			story.Situation{Status: invite.Active, Progress: invite.NotOpened, Message: &story.Message{ID: first, Status: invite.Accepted, Reason: invite.NoReceipt}},
			traveled(first, invite.EventDeliveryAccepted, 2*time.Second, invite.EventDeliveryNoReceipt, 10*time.Minute),
			[]string{"Created", "Sent, 2 s after it was created", "Delivered: Not known", "Opened: Waiting", "Connected: Not reached"},
		},
		"rejected after it was taken": {
			story.Situation{Status: invite.Failed, Progress: invite.NotOpened, Message: message(first, invite.Rejected, 0)},
			traveled(first, invite.EventDeliveryAccepted, 2*time.Second, invite.EventDeliveryRejected, 3*time.Second),
			[]string{"Created", "Sent, 2 s after it was created", "Not delivered: Rejected", "Opened: Not reached", "Connected: Not reached"},
		},
		"bounced, and opened by a copied link": {
			story.Situation{Status: invite.Failed, Progress: invite.Visited, SeenAt: visited.At, Message: message(first, invite.Bounced, 0)},
			append(traveled(first, invite.EventDeliveryAccepted, 2*time.Second, invite.EventDeliveryBounced, 3*time.Second), visited),
			[]string{"Created", "Sent, 2 s after it was created", "Not delivered: Bounced", "Opened, 29m58s after it was sent", "Connected: Waiting"},
		},
		"cancelled, and opened by a copied link": {
			story.Situation{Status: invite.Active, Progress: invite.Visited, SeenAt: visited.At, Message: message(first, invite.Canceled, 0)},
			append(traveled(first), visited),
			[]string{"Created", "Sent: Not reached, Cancelled", "Delivered: Not reached", "Opened, 30m0s after it was created", "Connected: Waiting"},
		},
		"without a message": {
			story.Situation{Status: invite.Active, Progress: invite.NotOpened, Channel: invite.LinkOnly},
			traveled(first),
			[]string{"Created", "Sent: Not reached, No message", "Delivered: Not reached, No message", "Opened: Waiting", "Connected: Not reached"},
		},
		"scheduled": {
			story.Situation{Status: invite.Scheduled, Progress: invite.NotOpened, SendAt: now().Add(time.Hour), Message: message(first, invite.Queued, 0)},
			traveled(first),
			[]string{"Created", "Sent: Waiting, Scheduled", "Delivered: Not reached", "Opened: Not reached", "Connected: Not reached"},
		},
		"expired": {
			story.Situation{Status: invite.Expired, Progress: invite.NotOpened, EndedAt: now(), Message: message(first, invite.Delivered, 0)},
			whole,
			[]string{"Created", "Sent, 2 s after it was created", "Delivered, 4 s after it was sent", "Opened: Not reached, Expired", "Connected: Not reached"},
		},
		"connected although it was revoked": {
			story.Situation{Status: invite.Revoked, Progress: invite.Continued, SeenAt: visited.At, EndedAt: now(), Connected: hour.Add(31 * time.Minute), Message: message(first, invite.Delivered, 0)},
			append(slices.Clone(whole), visited),
			[]string{"Created", "Sent, 2 s after it was created", "Delivered, 4 s after it was sent", "Opened, 29m54s after it was delivered", "Connected, 1m0s after it was opened"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.s.Now = now()
			var got []string
			for _, at := range story.Rail(english{now()}, c.s, c.events) {
				got = append(got, at.Words)
			}
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}
