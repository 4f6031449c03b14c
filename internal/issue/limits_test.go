package issue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/compose"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/page"
	"github.com/connectlink/connectlink/internal/quota"
	"github.com/connectlink/connectlink/internal/warn"
	"github.com/connectlink/connectlink/templates"
)

// limited is a service whose live keys are limited, and such a key.
func (w *world) limited(l config.Limits, change ...func(*issue.Params)) (*issue.Service, access.Principal) {
	w.t.Helper()
	w.project.Limits = l
	counter, err := quota.New(quota.Params{
		Box: w.box, Project: func(string) (config.Project, bool) { return w.project, true }, Senders: func(invite.Place) []string { return []string{"MG1"} },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	key := w.newKey()
	key.Live, key.Environment = true, config.Production
	return w.process(append(change, func(p *issue.Params) { p.Uses, p.Wake = counter.Uses, func(invite.Lane) {} })...), key
}

// to is a request for a user of their own by email.
func to(user, address string) issue.CreateRequest {
	r := ask(user)
	r.Recipient = &issue.RecipientRequest{Email: address}
	return r
}

// refusedBy returns the name of the limit that refused a request; "" for none.
func refusedBy(t *testing.T, err error) string {
	t.Helper()
	var e *invite.Error
	if err == nil {
		return ""
	}
	if !errors.As(err, &e) || e.Code != invite.CodeLimitExceeded || e.Limit == nil {
		t.Errorf("error = %v, want limit_exceeded", err)
		return "another error"
	}
	return e.Limit.Name
}

func TestParallelCreatesStopAtTheRecipientLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, key := w.limited(config.Limits{RecipientPerHour: 5, RecipientPerDay: 10})
	other, _ := w.limited(w.project.Limits) // another process
	var made, refused atomic.Int64
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			// Tags and case lead to the same mailbox.
			address := []string{"pat@customer.example", "Pat@customer.example", "pat+slack@customer.example"}[i%3]
			_, err := []*issue.Service{s, other}[i%2].Create(t.Context(), key, to(fmt.Sprintf("user-%d", i), address), issue.Meta{})
			switch refusedBy(t, err) {
			case "":
				made.Add(1)
			case "recipient_per_hour":
				refused.Add(1)
			}
		})
	}
	wg.Wait()
	if made.Load() != 5 || refused.Load() != 55 {
		t.Errorf("%d made, %d refused; want 5 and 55", made.Load(), refused.Load())
	}
	if n := w.count(`SELECT count(*) FROM invites`); n != 5 {
		t.Errorf("%d invites are stored", n)
	}
	mints := w.mints.Load()
	if _, err := s.Create(t.Context(), key, to("user-z", "pat@customer.example"), issue.Meta{}); refusedBy(t, err) != "recipient_per_hour" {
		t.Errorf("error = %v", err)
	}
	if w.mints.Load() != mints {
		t.Error("a refused request costs a token")
	}
}

// Items beyond a limit are refused by name, and hinder no other.
func TestBatchIsRefusedItemByItemBeyondALimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, key := w.limited(config.Limits{RecipientPerHour: 5, RecipientPerDay: 10, KeyPerDay: 40})
	items := batchOf(100, "u")
	for i := range 60 { // the first sixty go to one address
		items[i].Request.Recipient.Email = "pat@customer.example"
	}
	results, err := s.CreateBatch(t.Context(), key, items)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for i, r := range results {
		name := refusedBy(t, r.Err)
		got[name]++
		if i < 60 == (name == "key_per_day") && name != "" {
			t.Errorf("item %d is refused by %s", i, name)
		}
	}
	if got[""] != 40 || got["recipient_per_hour"] != 55 || got["key_per_day"] != 5 {
		t.Errorf("results %v; want 40 made, 55 refused for the recipient and 5 for the key", got)
	}
	if n := w.count(`SELECT messages FROM sending_uses WHERE scope = 'key'`); n != 40 {
		t.Errorf("the key's count is %d", n)
	}
}

func TestRepeatOfARequestIsNotCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, key := w.limited(config.Limits{RecipientPerHour: 1, RecipientPerDay: 1})
	meta := issue.Meta{Route: "POST /v1/invites", IdempotencyKey: "once"}
	first, err := s.Create(t.Context(), key, to("user-1", "pat@customer.example"), meta)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		again, err := s.Create(t.Context(), key, to("user-1", "pat@customer.example"), meta)
		if err != nil || again.Invite.ID != first.Invite.ID || !again.Replayed {
			t.Fatalf("repeat = %+v, %v", again, err)
		}
	}
	if _, err := s.Create(t.Context(), key, to("user-1", "pat@customer.example"), issue.Meta{}); refusedBy(t, err) == "" {
		t.Error("a second message is allowed")
	}
}

func TestEachLimitRefusesByItsName(t *testing.T) {
	t.Parallel()
	money := config.Money(30_000)
	for name, tc := range map[string]struct {
		limits config.Limits
		second func(*issue.CreateRequest) // from the first request
	}{
		"user_per_day":        {config.Limits{UserPerDay: 1}, func(r *issue.CreateRequest) { r.Recipient.Phone = "+12025550199" }},
		"key_per_day":         {config.Limits{KeyPerDay: 1}, func(r *issue.CreateRequest) { r.ExternalUserID, r.Recipient.Phone = "b", "+13105550199" }},
		"project_per_day":     {config.Limits{ProjectPerDay: 1}, func(r *issue.CreateRequest) { r.ExternalUserID, r.Recipient.Phone = "b", "+13105550199" }},
		"sms_country_per_day": {config.Limits{CountryPerDay: 1}, func(r *issue.CreateRequest) { r.ExternalUserID, r.Recipient.Phone = "b", "+13105550199" }},
		"sms_block_per_day":   {config.Limits{BlockPerDay: 1}, func(r *issue.CreateRequest) { r.ExternalUserID, r.Recipient.Phone = "b", "+12025550199" }},
		"spend_per_day":       {config.Limits{SpendPerDay: money}, func(r *issue.CreateRequest) { r.ExternalUserID, r.Recipient.Phone = "b", "+13105550199" }},
		"recipient_per_day":   {config.Limits{RecipientPerDay: 1}, func(r *issue.CreateRequest) { r.ExternalUserID = "b" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			s, key := w.limited(tc.limits)
			r := ask("a")
			r.Channel, r.Recipient = "sms", &issue.RecipientRequest{Phone: "+12025550142"}
			if _, err := s.Create(t.Context(), key, r, issue.Meta{}); err != nil {
				t.Fatal(err)
			}
			tc.second(&r)
			_, err := s.Create(t.Context(), key, r, issue.Meta{})
			if got := refusedBy(t, err); got != name {
				t.Fatalf("refused by %q: %v", got, err)
			}
			var e *invite.Error
			if errors.As(err, &e); e.RetryAfterS <= 0 || e.Limit.Max == "" {
				t.Errorf("retry after %d s, max %q", e.RetryAfterS, e.Limit.Max)
			}
			// Test mode writes to no person and is not limited.
			test := w.newKey()
			r.Recipient.Phone = "+12025550142"
			if _, err := s.Create(t.Context(), test, r, issue.Meta{}); err != nil {
				t.Errorf("test mode: %v", err)
			}
		})
	}
}

func TestNumbersThatAreNotWrittenTo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, key := w.limited(config.Limits{SMSCountries: []string{"US", "DE"}})
	for phone, want := range map[string]invite.Code{
		"+12025550142":   "",
		"+4915112345678": "",
		"+447400123456":  invite.CodeCountryNotAllowed,
		"+18005550142":   invite.CodeNumberTypeNotAllowed, // toll-free
		"+447012345678":  invite.CodeNumberTypeNotAllowed, // a personal number
		"+881612345678":  invite.CodePhoneTypeUnsupported, // of no country; see below
		"+19002345678":   invite.CodePhoneTypeUnsupported, // premium rate
	} {
		r := ask("user " + phone)
		r.Channel, r.Recipient = "sms", &issue.RecipientRequest{Phone: phone}
		_, err := s.Create(t.Context(), key, r, issue.Meta{})
		got := invite.Code("")
		if err != nil {
			got = invite.CodeOf(err)
		}
		if phone == "+881612345678" && (got == invite.CodeCountryNotAllowed || got == want) {
			continue // satellite phones: refused, by type or by country
		}
		if got != want {
			t.Errorf("%s: %v, want %q", phone, err, want)
		}
		if err != nil || want == "" {
			// A number that is not written to is no fault of an email.
			r.Channel, r.Recipient.Email = "email", "pat@customer.example"
			if _, err := s.Create(t.Context(), key, r, issue.Meta{}); err != nil && want != invite.CodePhoneTypeUnsupported {
				t.Errorf("%s beside an email: %v", phone, err)
			}
			r.Fallback = &issue.FallbackRequest{Channel: "sms", After: "failure"}
			if _, err := s.Create(t.Context(), key, r, issue.Meta{}); (err == nil) != (want == "") {
				t.Errorf("%s as a fallback: %v", phone, err)
			}
		}
	}
}

func TestResendsOfALiveInviteAreLimited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, key := w.limited(config.Limits{ResendsPerInvite: 3})
	made, err := s.Create(t.Context(), key, to("user-1", "pat@customer.example"), issue.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	id := made.Invite.ID
	// pass has the latest message delivered, a while ago.
	pass := func(d time.Duration) {
		t.Helper()
		_, err := w.db.Exec(t.Context(), `UPDATE deliveries SET status = 'delivered', created_at = now() - make_interval(secs => $2) WHERE invite_id = $1`, id, d.Seconds())
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, gap := range []time.Duration{2 * time.Minute, 4 * time.Minute, 8 * time.Minute} {
		pass(gap - 20*time.Second)
		if _, err := s.Resend(t.Context(), key, id, issue.ResendRequest{}, issue.Meta{}); invite.CodeOf(err) != invite.CodeResendTooSoon {
			t.Fatalf("resend %d after less than %v: %v", i+1, gap, err)
		}
		pass(gap + time.Second)
		if _, err := s.Resend(t.Context(), key, id, issue.ResendRequest{}, issue.Meta{}); err != nil {
			t.Fatalf("resend %d: %v", i+1, err)
		}
	}
	pass(24 * time.Hour)
	if _, err := s.Resend(t.Context(), key, id, issue.ResendRequest{}, issue.Meta{}); refusedBy(t, err) != "resends_per_invite" {
		t.Errorf("the fourth resend: %v", err)
	}
}

// One recipient who was sent enough must not hold up the messages of others.
func TestAutomaticMessageWaitsForTheRecipientLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, key := w.limited(config.Limits{RecipientPerHour: 1, RecipientPerDay: 10})
	w.key = key
	full := func(user, phone string) invite.ID {
		r := askTwo(user, "failure", nil)
		r.Recipient.Email, r.Recipient.Phone, r.Recipient.TimeZone = user+"@customer.example", phone, zoneAt(12)
		id := w.create(s, r)
		w.fate(id, bounced())
		return id
	}
	taken := ask("user-0")
	taken.Channel, taken.Recipient = "sms", &issue.RecipientRequest{Phone: "+12025551234"}
	w.create(s, taken)
	waits, goes := full("user-1", "+12025551234"), full("user-2", "+12025551235")
	w.fallBack(s, 1)
	if inv := w.get(waits); *inv.DeliveryChannel != "email" || inv.Status != invite.Active {
		t.Errorf("beyond the limit: by %s, %s", *inv.DeliveryChannel, inv.Status)
	}
	if inv := w.get(goes); *inv.DeliveryChannel != "sms" {
		t.Errorf("within the limit: by %s", *inv.DeliveryChannel)
	}
	if n := w.count(`SELECT count(*) FROM invites WHERE id = $1 AND fallback_at BETWEEN now() + interval '58 minutes' AND now() + interval '1 hour'`, waits); n != 1 {
		t.Error("the fallback does not wait for the hour")
	}
	if got := w.timeline(waits); slices.Contains(got, "fallback") {
		t.Errorf("timeline %v", got)
	}
}

func TestLeadAllowsAPersonMoreMessages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, key := w.limited(config.Limits{RecipientPerHour: 1, RecipientPerDay: 1})
	made, err := s.Create(t.Context(), key, to("user-1", "pat@customer.example"), issue.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	send := func() error {
		_, err := s.Create(t.Context(), key, to("user-1", "pat@customer.example"), issue.Meta{})
		return err
	}
	if refusedBy(t, send()) == "" {
		t.Fatal("the limit does not hold")
	}
	place := invite.Place{Project: "default", Live: true}
	agent := access.Staff(invite.New[invite.StaffID]().String(), access.RoleAgent, place)
	lead := access.Staff(invite.New[invite.StaffID]().String(), access.RoleLead, place)
	for _, p := range []access.Principal{agent, key} {
		if err := s.AllowMore(t.Context(), p, made.Invite.ID, invite.Email); invite.CodeOf(err) != invite.CodeInsufficientScope {
			t.Errorf("%s: %v", p.Kind, err)
		}
	}
	if err := s.AllowMore(t.Context(), lead, made.Invite.ID, invite.SMS); invite.CodeOf(err) != invite.CodeInvalidRequest {
		t.Errorf("a channel without an address: %v", err)
	}
	if err := s.AllowMore(t.Context(), lead, made.Invite.ID, invite.Email); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := send(); err != nil {
			t.Fatal(err)
		}
	}
	if refusedBy(t, send()) == "" {
		t.Error("more than three more are allowed")
	}
	if err := s.AllowMore(t.Context(), lead, made.Invite.ID, invite.Email); invite.CodeOf(err) != invite.CodeLimitExceeded {
		t.Errorf("a second grant: %v", err)
	}
	if n := w.count(`SELECT count(*) FROM audit WHERE act = 'allow_more'`); n != 1 {
		t.Errorf("%d entries in the audit log", n)
	}
}

// raise is a function as warn.Alerts.
type raise func(a quota.Alert)

func (r raise) Raise(_ context.Context, _ pgx.Tx, _ invite.Place, a quota.Alert, _ time.Time) error {
	r(a)
	return nil
}

// A leaked key that is used without pause for an hour sends no more than its limits
// allow, no person is sent more than the person's own, and the alert comes within the
// simulated minute in which the first limit per day refuses a message.
func TestLeakedKeyIsWorthItsLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, key := w.limited(config.Limits{
		RecipientPerHour: 5, RecipientPerDay: 10, UserPerDay: 1000, KeyPerDay: 90, ProjectPerDay: 1000, CountryPerDay: 500, BlockPerDay: 20,
		SMSCountries: []string{"US"},
	})
	honest := w.newKey()
	honest.Live, honest.Environment = true, config.Production
	refused, alerted := -1, -1
	var minute int
	alarm, err := warn.New(warn.Params{DB: w.db, Log: slog.New(slog.DiscardHandler), Alerts: raise(func(a quota.Alert) {
		if a.Kind == quota.AlertReached && alerted < 0 {
			alerted = minute
		}
	})})
	if err != nil {
		t.Fatal(err)
	}
	var sent atomic.Int64
	var mu sync.Mutex
	perPerson := make(map[string]int)
	for minute = range 60 {
		var wg sync.WaitGroup
		for i := range 12 {
			phone := fmt.Sprintf("+1%d5551%03d", 212+i%4, 100+(minute/10)*2+i%3)
			wg.Go(func() {
				r := ask(fmt.Sprintf("user-%d", i))
				r.Channel = "sms"
				r.Recipient = &issue.RecipientRequest{Phone: phone}
				_, err := s.Create(t.Context(), key, r, issue.Meta{})
				name := refusedBy(t, err)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case name == "":
					sent.Add(1)
					perPerson[phone]++
				case refused < 0 && (name == "sms_block_per_day" || name == "key_per_day"):
					refused = minute
				}
			})
		}
		wg.Wait()
		// The program does this every 15 seconds.
		if _, err := alarm.Tell(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := w.db.Exec(t.Context(), `UPDATE sending_uses SET times = ARRAY(SELECT x - interval '1 minute' FROM unnest(times) x) WHERE times IS NOT NULL`); err != nil {
			t.Fatal(err)
		}
		if minute%20 == 0 {
			r := to(fmt.Sprintf("honest-%d", minute), fmt.Sprintf("pat%d@customer.example", minute))
			if _, err := s.Create(t.Context(), honest, r, issue.Meta{}); err != nil {
				t.Errorf("an honest request with another key: %v", err)
			}
		}
	}
	if n := sent.Load(); n == 0 || n > 90 {
		t.Errorf("%d messages were sent", n)
	}
	if n := w.count(`SELECT count(*) FROM deliveries WHERE channel = 'sms'`); int64(n) != sent.Load() {
		t.Errorf("%d deliveries are stored, %d requests were accepted", n, sent.Load())
	}
	if refused < 0 || alerted < 0 || alerted > refused {
		t.Errorf("a limit refused in minute %d, the alert came in minute %d", refused, alerted)
	}
	for phone, n := range perPerson {
		if n > 10 {
			t.Errorf("%s was sent %d messages in a day", phone, n)
		}
	}
	if n := w.count(`SELECT max(cardinality(times)) FROM sending_uses WHERE scope = 'recipient'`); n > 5 {
		t.Errorf("a person was sent %d messages within the hour", n)
	}
	if n := w.count(`SELECT max(messages) FROM sending_uses WHERE scope = 'sms_block'`); n > 20 {
		t.Errorf("%d messages went to one block of numbers", n)
	}
	if n := w.count(`SELECT count(*) FROM limit_notices WHERE scope IN ('sms_block', 'key')`); n == 0 {
		t.Error("no notice was raised")
	}
}

func TestPreviewWarnsOfALimitAndCountsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	texts, err := message.NewRenderer(templates.FS)
	if err != nil {
		t.Fatal(err)
	}
	pages, err := page.New(templates.FS)
	if err != nil {
		t.Fatal(err)
	}
	composer, err := compose.New(compose.Params{
		PublicURL: publicURL, Messages: func(invite.Place) *message.Renderer { return texts }, Pages: func(string) *page.Pages { return pages },
	})
	if err != nil {
		t.Fatal(err)
	}
	s, key := w.limited(config.Limits{RecipientPerHour: 1, RecipientPerDay: 1}, func(p *issue.Params) { p.Composer = composer })
	warned := func(p access.Principal) bool {
		t.Helper()
		list, err := s.Preview(t.Context(), p, to("user-1", "pat@customer.example"), "")
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(list[0].Warnings, func(w message.Warning) bool { return w.Code == message.WarnLimit })
	}
	for range 2 {
		if warned(key) {
			t.Error("a preview is counted")
		}
	}
	if _, err := s.Create(t.Context(), key, to("user-1", "pat@customer.example"), issue.Meta{}); err != nil {
		t.Fatal(err)
	}
	if !warned(key) {
		t.Error("the preview does not warn")
	}
	if warned(w.newKey()) {
		t.Error("the preview warns in test mode")
	}
}

// BenchmarkLimits compares creates that limits count with the same creates without
// limits, in turns within one run: limited-per-unlimited is the median ratio of five.
func BenchmarkLimits(b *testing.B) {
	w := newWorld(b)
	const many = 100_000_000
	s, key := w.limited(config.Limits{
		RecipientPerHour: 5, RecipientPerDay: 10, UserPerDay: 20, KeyPerDay: many, ProjectPerDay: many, SpendPerDay: 1_000_000 * config.OneMoney,
	})
	unlimited := w.process(func(p *issue.Params) { p.Wake = func(invite.Lane) {} })
	n := 0
	round := func(s *issue.Service, each int) time.Duration {
		var g errgroup.Group
		g.SetLimit(16)
		began := time.Now()
		for range each {
			n++
			r := to(fmt.Sprintf("user-%d", n), fmt.Sprintf("pat%d@customer.example", n))
			g.Go(func() error {
				_, err := s.Create(b.Context(), key, r, issue.Meta{})
				return err
			})
		}
		if err := g.Wait(); err != nil {
			b.Fatal(err)
		}
		return time.Since(began)
	}
	round(s, 200)
	round(unlimited, 200)
	for b.Loop() {
		var ratios []float64
		for range 5 {
			without := round(unlimited, 500)
			ratios = append(ratios, float64(round(s, 500))/float64(without))
		}
		slices.Sort(ratios)
		b.ReportMetric(ratios[2], "limited-per-unlimited")
	}
}
