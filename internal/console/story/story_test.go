package story_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/console/story"
	"github.com/connectlink/connectlink/internal/invite"
)

// english says texts as they stand in the code.
type english struct{ now time.Time }

func (english) T(text string, args ...any) string {
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, args...)
}

func (english) TN(one, many string, n int, args ...any) string {
	if n == 1 {
		return fmt.Sprintf(one, append([]any{n}, args...)...)
	}
	return fmt.Sprintf(many, append([]any{n}, args...)...)
}

func (e english) Relative(at time.Time) string {
	if d := e.now.Sub(at); d >= 0 {
		return d.String() + " ago"
	}
	return "in " + at.Sub(e.now).String()
}

func (english) Span(d time.Duration) string { return d.String() }

func plain(s string) string { return strings.NewReplacer("\u2068", "", "\u2069", "").Replace(s) }

func now() time.Time { return time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC) }

func sent(status invite.DeliveryStatus, reason invite.Reason) *story.Message {
	return &story.Message{Status: status, Channel: invite.Email, Reason: reason, At: now().Add(-12 * time.Minute)}
}

func TestOneSentenceSaysWhereAnInviteStands(t *testing.T) {
	t.Parallel()
	ago := now().Add(-12 * time.Minute)
	open := story.Situation{Status: invite.Active, Progress: invite.NotOpened, Channel: invite.Email, ExpiresAt: now().Add(3*time.Hour + 48*time.Minute)}
	with := func(change func(*story.Situation)) story.Situation {
		s := open
		change(&s)
		return s
	}
	msg := func(status invite.DeliveryStatus, reason invite.Reason) story.Situation {
		return with(func(s *story.Situation) { s.Message = sent(status, reason) })
	}
	const works = " Link works for 3h48m0s."
	for name, c := range map[string]struct {
		s    story.Situation
		want string
		step story.Step
	}{
		"delivered":       {msg(invite.Delivered, ""), "Delivered to p••@c•••.example 12m0s ago, not opened yet." + works, story.StepResend},
		"queued":          {msg(invite.Queued, ""), "Waiting to be sent to p••@c•••.example." + works, story.StepCancel},
		"sending":         {msg(invite.Sending, ""), "Being sent to p••@c•••.example now." + works, story.StepCancel},
		"accepted":        {msg(invite.Accepted, ""), "On its way to p••@c•••.example, sent 12m0s ago, not confirmed yet." + works, story.StepResend},
		"sent, no word":   {msg(invite.Sent, invite.NoReceipt), "Sent for p••@c•••.example 12m0s ago, but no delivery report came. It may have arrived." + works, story.StepResend},
		"deferred":        {msg(invite.Deferred, invite.DeferredByHost), "Delayed: the system of p••@c•••.example asked us to wait, last 12m0s ago." + works, story.StepResend},
		"complained":      {msg(invite.Complained, invite.MarkedSpam), "Delivered to p••@c•••.example, and marked as spam 12m0s ago." + works, story.StepNone},
		"unknown":         {msg(invite.Unknown, invite.OutcomeUnknown), "Unknown whether the message to p••@c•••.example was sent: the connection to the provider broke." + works, story.StepResend},
		"canceled":        {msg(invite.Canceled, ""), "The message to p••@c•••.example was cancelled before it was sent." + works, story.StepResend},
		"no message":      {open, "No message is sent: the product shows the link itself. Not opened yet." + works, story.StepResend},
		"waiting for one": {with(func(s *story.Situation) { s.Status, s.ExpiresAt = invite.Pending, time.Time{} }), "Waiting for Pipedream to issue a link.", story.StepResend},
		"pending": {with(func(s *story.Situation) { s.Status, s.Message = invite.Pending, sent(invite.Queued, "") }),
			"Waiting for Pipedream to issue a link; then it is sent to p••@c•••.example.", story.StepCancel},
		"bounced": {with(func(s *story.Situation) {
			s.Status, s.Message = invite.Failed, sent(invite.Bounced, invite.AddressNotFound)
		}),
			"Did not reach p••@c•••.example: there is no mailbox at this email address." + works, story.StepCorrect},
		"mailbox full": {msg(invite.Bounced, invite.MailboxUnavailable),
			"Did not reach p••@c•••.example: the mailbox exists but does not accept mail now: it is full, suspended or blocked." + works, story.StepToSMS},
		"landline":   {msg(invite.Undelivered, invite.Landline), "Did not reach p••@c•••.example: this is a landline, or it cannot receive text messages." + works, story.StepToEmail},
		"opted out":  {msg(invite.Rejected, invite.OptedOut), "Did not reach p••@c•••.example: the person replied STOP, so text messages may not be sent to them." + works, story.StepToEmail},
		"suppressed": {msg(invite.Suppressed, invite.SuppressedBefore), "Did not reach p••@c•••.example: nothing was sent, because an earlier message to this address failed." + works, story.StepLift},
		"no link came": {msg(invite.Rejected, invite.LinkUnavailable),
			"Did not reach p••@c•••.example: Pipedream did not issue a connect link in time, or refused to." + works, story.StepResend},
		"without a reason": {msg(invite.Undelivered, ""), "Did not reach p••@c•••.example." + works, story.StepResend},
		"visited": {with(func(s *story.Situation) {
			s.Progress, s.ProgressAt, s.Message = invite.Visited, ago, sent(invite.Delivered, "")
		}),
			"The person opened it 12m0s ago and has not continued yet." + works, story.StepResend},
		"continued": {with(func(s *story.Situation) { s.Progress, s.ProgressAt = invite.Continued, ago }),
			"The person continued to Pipedream 12m0s ago and is not connected yet." + works, story.StepResend},
		"connect failed": {with(func(s *story.Situation) { s.Progress, s.ProgressAt = invite.ConnectFailed, ago }), "Slack failed to connect 12m0s ago." + works, story.StepRenew},
		// What went before the latest message does not hide what becomes of it.
		"opened, then sent anew and bounced": {with(func(s *story.Situation) {
			s.Progress, s.ProgressAt, s.SeenAt, s.Message = invite.Visited, ago.Add(-time.Hour), ago.Add(-time.Hour), sent(invite.Bounced, invite.AddressNotFound)
			s.Message.Began = ago
		}), "Did not reach p••@c•••.example: there is no mailbox at this email address. The link was opened before that, 1h12m0s ago." + works, story.StepCorrect},
		"failed, then sent anew and bounced": {with(func(s *story.Situation) {
			s.Progress, s.ProgressAt, s.SeenAt, s.Message = invite.ConnectFailed, ago.Add(-time.Hour), ago.Add(-time.Hour), sent(invite.Bounced, invite.AddressNotFound)
			s.Message.Began = ago
		}), "Did not reach p••@c•••.example: there is no mailbox at this email address. The link was opened before that, 1h12m0s ago." + works, story.StepCorrect},
		"sent anew, then opened": {with(func(s *story.Situation) {
			s.Progress, s.ProgressAt, s.SeenAt, s.Message = invite.Visited, ago, ago, sent(invite.Delivered, "")
			s.Message.Began = ago.Add(-time.Hour)
		}), "The person opened it 12m0s ago and has not continued yet." + works, story.StepResend},
		"a reminder bounced": {with(func(s *story.Situation) {
			s.Message = sent(invite.Bounced, invite.MailboxUnavailable)
			s.Message.Reminder = true
		}), "Did not reach p••@c•••.example: the mailbox exists but does not accept mail now: it is full, suspended or blocked. This is a reminder; the earlier message was sent." + works, story.StepToSMS},
		"due": {with(func(s *story.Situation) { s.Status, s.SendAt = invite.Scheduled, ago }), "Due for sending to p••@c•••.example 12m0s ago.", story.StepCancel},
		"erased": {with(func(s *story.Situation) { s.Status, s.EndedAt, s.Erased = invite.Revoked, ago, true }),
			"Ended 12m0s ago. Personal data was erased, and the link no longer works.", story.StepNew},
		"time over": {with(func(s *story.Situation) {
			s.ExpiresAt = now().Add(-time.Second)
			s.Message = sent(invite.Delivered, "")
		}), "Delivered to p••@c•••.example 12m0s ago, not opened yet. The link has expired.", story.StepResend},
		"scheduled": {with(func(s *story.Situation) { s.Status, s.SendAt = invite.Scheduled, now().Add(time.Hour) }), "Will be sent to p••@c•••.example in 1h0m0s.", story.StepCancel},
		"connected": {with(func(s *story.Situation) { s.Status, s.Connected, s.Account = invite.Connected, ago, "Acme Workspace" }),
			"Connected as Acme Workspace 12m0s ago.", story.StepNone},
		"connected, nameless": {with(func(s *story.Situation) { s.Status, s.Connected = invite.Connected, ago }), "Connected 12m0s ago.", story.StepNone},
		"expired unopened": {with(func(s *story.Situation) {
			s.Status, s.EndedAt, s.Message = invite.Expired, ago, sent(invite.Delivered, "")
		}),
			"Expired 12m0s ago. The message was delivered to p••@c•••.example, but not opened.", story.StepRenew},
		"expired undelivered": {with(func(s *story.Situation) {
			s.Status, s.EndedAt, s.Message = invite.Expired, ago, sent(invite.Bounced, "")
		}),
			"Expired 12m0s ago, not opened.", story.StepRenew},
		// Once the next step of these was to write to them again.
		"expired, marked as spam": {with(func(s *story.Situation) {
			s.Status, s.EndedAt, s.Message = invite.Expired, ago, sent(invite.Complained, invite.MarkedSpam)
		}), "Expired 12m0s ago, not opened.", story.StepNone},
		"expired, opted out": {with(func(s *story.Situation) {
			s.Status, s.EndedAt, s.Message = invite.Expired, ago, sent(invite.Rejected, invite.OptedOut)
		}), "Expired 12m0s ago, not opened.", story.StepToEmail},
		"failed to connect, marked as spam": {with(func(s *story.Situation) {
			s.Progress, s.ProgressAt, s.Message = invite.ConnectFailed, ago, sent(invite.Complained, invite.MarkedSpam)
		}), "Slack failed to connect 12m0s ago." + works, story.StepNone},
		"expired visited": {with(func(s *story.Situation) { s.Status, s.EndedAt, s.Progress = invite.Expired, ago, invite.Visited }),
			"Expired 12m0s ago. The person opened it, but did not continue.", story.StepRenew},
		"expired at Pipedream": {with(func(s *story.Situation) {
			s.Status, s.EndedAt, s.Progress, s.OpenUntil = invite.Expired, ago, invite.Continued, now().Add(time.Hour)
		}), "Expired 12m0s ago. The person continued to Pipedream, but did not finish there. A Pipedream page opened before works for 1h0m0s more.", story.StepRenew},
		"expired after a failure": {with(func(s *story.Situation) { s.Status, s.EndedAt, s.Progress = invite.Expired, ago, invite.ConnectFailed }),
			"Expired 12m0s ago, after Slack failed to connect.", story.StepRenew},
		"revoked":  {with(func(s *story.Situation) { s.Status, s.EndedAt = invite.Revoked, ago }), "Revoked 12m0s ago. The link shows that it was cancelled.", story.StepNew},
		"replaced": {with(func(s *story.Situation) { s.Status, s.EndedAt, s.Replaced = invite.Revoked, ago, true }), "Replaced by a newer invite 12m0s ago.", story.StepNew},
		"reported": {with(func(s *story.Situation) { s.Status, s.EndedAt, s.Reported = invite.Revoked, ago, true }), "Ended 12m0s ago: the person reported that it is not for them.", story.StepNew},
		"connected after revoke": {with(func(s *story.Situation) { s.Status, s.EndedAt, s.Connected = invite.Revoked, ago, ago }),
			"Revoked 12m0s ago, but an account was connected anyway. The account was not removed; please review it.", story.StepNew},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.s.Now, c.s.App, c.s.To = now(), "Slack", "p••@c•••.example"
			w := english{now()}
			if got := plain(story.Sentence(w, c.s)); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
			step, label := story.Next(w, c.s)
			if step != c.step || (label == "") != (step == story.StepNone) {
				t.Errorf("the next step is %q %q, want %q", step, label, c.step)
			}
		})
	}
}

// No state is left without words: every combination says something.
func TestEveryStateHasWords(t *testing.T) {
	t.Parallel()
	for _, status := range invite.Statuses() {
		for _, progress := range invite.Progresses() {
			for _, delivery := range invite.DeliveryStatuses() {
				s := story.Situation{Status: status, Progress: progress, App: "Slack", To: "p••@c•••.example", Message: sent(delivery, ""), Now: now()}
				if got := story.Sentence(english{now()}, s); got == "" || strings.Contains(got, "%!") {
					t.Errorf("%s, %s, %s: %q", status, progress, delivery, got)
				}
			}
		}
	}
}

func TestAddressesInOthersWordsAreMasked(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"550 5.1.1 <pat@customer.example> unknown": "550 5.1.1 <p••@c•••.example> unknown",
		"pat@customer.example.":                    "p••@c•••.example.",
		"call +1 202 555 0147 now":                 "call +1 ••• 47 now",
		"2025550147":                               "•••\u00a047",
		"user-8812":                                "user-8812",
		"550 5.1.1":                                "550 5.1.1",
		"a@b":                                      "•••",
		"https://mail.example/?rcpt=pat%40customer.example&x": "https://mail.example/?rcpt=p••@c•••.example&x",
		"pat%40customer.example":                              "p••@c•••.example",
		"call +1\u00a0202\u2011555\u20110147 now":             "call +1 ••• 47 now",
		"+1.202.555.0147":                                     "+1 ••• 47",
		"\"pat doe\"@customer.example":                        "\"••@c•••.example",
		"٠١٢٣٤٥٦٧٨":                                           "••• ٧٨",
		"bounces+1-pat=customer.example@em.brand.example":     "b••@e•••.example",
		"two: a.b@c.example, d@e.example":                     "two: a••@c•••.example, d••@e•••.example",
	} {
		if got := story.MaskText(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
	if got := story.MaskName("Pat  O'Doe Ö"); got != "P•• O•• Ö••" {
		t.Errorf("a name is shown as %q", got)
	}
}

func TestTheTimelineIsGroupedByAttemptNewestFirst(t *testing.T) {
	t.Parallel()
	first, second := invite.New[invite.DeliveryID](), invite.New[invite.DeliveryID]()
	at := now().Add(-time.Hour)
	scanner := story.Happened{Type: invite.EventFetched, Data: invite.Data{LooksLike: invite.LooksLikeScanner}}
	events := []story.Happened{
		{Type: invite.EventCreated, Actor: invite.Actor{Kind: invite.ActorKey, ID: "key_1"}, Data: invite.Data{Channel: invite.Email, RequestID: "req_1"}},
		{Type: invite.EventDeliverySending, DeliveryID: first},
		{Type: invite.EventDeliveryAccepted, DeliveryID: first},
		{Type: invite.EventDeliveryAccepted, DeliveryID: first, Data: invite.Data{Source: "callback"}},
		scanner, scanner, scanner,
		{Type: invite.EventResent, Actor: invite.Actor{Kind: invite.ActorStaff, ID: "stf_1"}, Data: invite.Data{Channel: invite.SMS}},
		{Type: invite.EventDeliveryQueued, DeliveryID: second, Data: invite.Data{Channel: invite.SMS}},
		{Type: invite.EventDeliveryBounced, DeliveryID: first, Data: invite.Data{Reason: invite.AddressNotFound}, Words: "550 p••@c•••.example"},
		{Type: "something.new"},
	}
	for i := range events {
		events[i].Seq, events[i].At = i+1, at.Add(time.Duration(i)*time.Minute)
	}
	tries := story.Timeline(english{now()}, events, "Slack", func(a invite.Actor) string { return a.ID })
	var got []string
	for _, try := range tries {
		got = append(got, "# "+try.Title)
		for _, e := range try.Entries {
			got = append(got, strings.TrimSpace(fmt.Sprintf("%s ×%d %s | %s", e.Title, e.Times, e.Who, e.Words)))
		}
	}
	want := []string{
		"# Attempt 2, by text message", "something.new ×1  |", "A message waits to be sent ×1  |", "Resent ×1 stf_1 |",
		"# Attempt 1, by email", "Bounced: the mail came back ×1  | 550 p••@c•••.example", "Probably opened by a mail scanner ×3  |",
		"Accepted by the provider ×1  |", "Sent to the provider ×1  |", "The product created this invite ×1 key_1 |",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if advice := tries[1].Entries[0].Advice; !strings.Contains(advice, "correct the address") {
		t.Errorf("a bounce is met with the advice %q", advice)
	}
	if facts := tries[1].Entries[4].Facts; len(facts) == 0 || facts[2] != (story.Fact{Name: "request", Value: "req_1"}) {
		t.Errorf("the technical details are %v", facts)
	}
}

// An event type without a text would be shown by its identifier.
func TestEveryKindOfEventHasWords(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "../../invite/event.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var types []invite.EventType
	ast.Inspect(file, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := v.Type.(*ast.Ident); ok && typ.Name == "EventType" {
			word, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			types = append(types, invite.EventType(word))
		}
		return true
	})
	if len(types) < 40 {
		t.Fatalf("only %d event types were found", len(types))
	}
	for _, typ := range types {
		tries := story.Timeline(english{now()}, []story.Happened{{Seq: 1, Type: typ}}, "Slack", func(invite.Actor) string { return "" })
		if got := tries[0].Entries[0].Title; got == string(typ) || got == "" {
			t.Errorf("%s is not put into words", typ)
		}
	}
}
