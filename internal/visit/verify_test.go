package visit_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/queue"
	"github.com/connectlink/connectlink/internal/store/traffic"
	"github.com/connectlink/connectlink/internal/track/tracktest"
	"github.com/connectlink/connectlink/internal/visit"
)

// guarded is an invite that asks for a passcode.
func (w *world) guarded(o tracktest.Options) tracktest.Made {
	w.t.Helper()
	m := w.Invite(o)
	w.Exec(`UPDATE invites SET verify = 'code' WHERE id = $1`, m.ID)
	return m
}

// digits reads the newest passcode as its message would carry it.
func (w *world) digits(m tracktest.Made) string {
	w.t.Helper()
	var sealed []byte
	var d invite.DeliveryID
	err := w.Pool.QueryRow(w.t.Context(), `SELECT digits, delivery_id FROM passcodes WHERE invite_id = $1 ORDER BY created_at DESC LIMIT 1`, m.ID).Scan(&sealed, &d)
	if err != nil {
		w.t.Fatal(err)
	}
	plain, err := w.Box.Open(sealed, seal.AD{Column: "passcodes.digits", ID: d.UUID()})
	if err != nil {
		w.t.Fatal(err)
	}
	return string(plain)
}

// wrong is another six digits.
func wrong(digits string) string {
	if digits == "000000" {
		return "000001"
	}
	return "000000"
}

func (w *world) enter(m tracktest.Made, digits string) visit.Pressed {
	w.t.Helper()
	p, err := w.EnterPasscode(w.t.Context(), m.Code, secret.New(digits), tap)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *world) another(m tracktest.Made) visit.Page {
	w.t.Helper()
	p, err := w.SendPasscode(w.t.Context(), m.Code, tap)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *world) passcodes(m tracktest.Made) int {
	return w.Count(`SELECT count(*) FROM deliveries WHERE invite_id = $1 AND kind = 'passcode'`, m.ID)
}

// later makes an invite's passcodes older.
func (w *world) passcodesAgo(m tracktest.Made, interval string) {
	w.Exec(`UPDATE passcodes SET created_at = created_at - $2::interval, expires_at = expires_at - $2::interval, passed_at = passed_at - $2::interval WHERE invite_id = $1`, m.ID, interval)
	w.Exec(`UPDATE invites SET last_handed_out_at = last_handed_out_at - $2::interval WHERE id = $1`, m.ID, interval)
}

func TestAPressSendsDigitsAndOnlyTheyLeadOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.guarded(tracktest.Options{})
	if page := w.open(m.Code); page.State != visit.Ready || !page.AsksCode {
		t.Fatalf("the page is %s", page.State)
	}
	got := w.press(m.Code)
	if !got.URL.IsZero() || got.Page.State != visit.Verify || got.Page.Verification.Channel != invite.Email || got.Page.Verification.Left != 5 {
		t.Fatalf("a press gives link %t, page %s, %+v", !got.URL.IsZero(), got.Page.State, got.Page.Verification)
	}
	if w.Get(m.ID).Progress != invite.Visited {
		t.Error("who asks for a passcode has read the page")
	}
	digits := w.digits(m)
	if n := w.Count(`SELECT count(*) FROM connect_links WHERE invite_id = $1 AND handed_out_at IS NOT NULL`, m.ID); n != 0 {
		t.Fatal("a link was handed out before the digits")
	}
	bad := w.enter(m, wrong(digits))
	if !bad.URL.IsZero() || bad.Page.Verification.Said != visit.SaidWrong || bad.Page.Verification.Left != 4 {
		t.Errorf("wrong digits: link %t, %+v", !bad.URL.IsZero(), bad.Page.Verification)
	}
	good := w.enter(m, " "+digits[:3]+"-"+digits[3:]+" ")
	if good.URL.IsZero() {
		t.Fatalf("right digits give page %s, %+v", good.Page.State, good.Page.Verification)
	}
	// A double tap gets the same link.
	if again := w.enter(m, digits); again.URL.Reveal() != good.URL.Reveal() {
		t.Error("the second tap gets another answer")
	}
	if inv := w.Get(m.ID); inv.Progress != invite.Continued || inv.Status != invite.Active {
		t.Errorf("%s, %s", inv.Status, inv.Progress)
	}
	var types []string
	for _, e := range w.Types(m.ID) {
		types = append(types, string(e))
	}
	if got := strings.Join(types[1:], " "); got != "verify.requested delivery.queued verify.failed verify.passed link.continued" {
		t.Errorf("the timeline says %s", got)
	}
	// Spent: a minute later the same digits lead nowhere.
	w.passcodesAgo(m, "2 minutes")
	if late := w.enter(m, digits); !late.URL.IsZero() || late.Page.Verification.Said != visit.SaidTooLate {
		t.Errorf("used digits: link %t, %+v", !late.URL.IsZero(), late.Page.Verification)
	}
}

func TestDigitsEndByTriesAndByTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tired, late := w.guarded(tracktest.Options{}), w.guarded(tracktest.Options{})
	w.press(tired.Code)
	w.press(late.Code)
	digits := w.digits(tired)
	// Input other than six digits does not count as a wrong passcode.
	for _, typed := range []string{"", "12345", "1234567", "abcdef", "12 34 5x"} {
		if p := w.enter(tired, typed); p.Page.Verification.Said != visit.SaidMalformed || p.Page.Verification.Left != 5 {
			t.Errorf("%q: %+v", typed, p.Page.Verification)
		}
	}
	for left := 4; left >= 0; left-- {
		p := w.enter(tired, wrong(digits))
		if p.Page.Verification.Left != left || p.Page.Verification.Ended != (left == 0) {
			t.Errorf("%d left by right: %+v", left, p.Page.Verification)
		}
	}
	if p := w.enter(tired, digits); !p.URL.IsZero() || p.Page.Verification.Said != visit.SaidTooOften {
		t.Error("digits count after too many tries")
	}
	right := w.digits(late)
	w.passcodesAgo(late, "10 minutes")
	if p := w.enter(late, right); !p.URL.IsZero() || p.Page.Verification.Said != visit.SaidTooLate || !p.Page.Verification.CanSend {
		t.Errorf("after ten minutes: %+v", p.Page.Verification)
	}
	// Another press sends others, and those work.
	w.press(late.Code)
	if p := w.enter(late, w.digits(late)); p.URL.IsZero() {
		t.Errorf("new digits: %+v", p.Page.Verification)
	}
}

func TestTheDigitsOfOtherScriptsAreDigits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, zero := range map[string]rune{"Arabic-Indic": '٠', "Persian": '۰', "Devanagari": '०', "fullwidth": '０', "the second of two runs": '𝟘'} {
		m := w.guarded(tracktest.Options{})
		w.press(m.Code)
		typed := strings.Map(func(r rune) rune { return zero + r - '0' }, w.digits(m))
		if p := w.enter(m, typed); p.URL.IsZero() {
			t.Errorf("%s: %+v", name, p.Page.Verification)
		}
	}
}

func TestNobodyCanHaveManyMessagesSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.guarded(tracktest.Options{})
	var g sync.WaitGroup
	for range 12 {
		g.Go(func() { _, _ = w.Continue(context.WithoutCancel(t.Context()), m.Code, tap) })
		g.Go(func() { _, _ = w.SendPasscode(context.WithoutCancel(t.Context()), m.Code, tap) })
	}
	g.Wait()
	if n := w.passcodes(m); n != 1 {
		t.Fatalf("%d messages for presses at once", n)
	}
	// Opening the link again leaves the digits alone that are on their way.
	w.passcodesAgo(m, "61 seconds")
	w.Exec(`UPDATE deliveries SET status = 'sent', next_at = NULL WHERE invite_id = $1 AND kind = 'passcode'`, m.ID)
	if w.press(m.Code); w.passcodes(m) != 1 {
		t.Error("a press sent others while the first were good")
	}
	for range 20 {
		w.another(m)
		w.passcodesAgo(m, "61 seconds")
		w.Exec(`UPDATE deliveries SET status = 'sent', next_at = NULL WHERE invite_id = $1 AND kind = 'passcode'`, m.ID)
	}
	if n := w.passcodes(m); n != 6 {
		t.Errorf("%d messages in a day", n)
	}
	if p := w.another(m); p.State != visit.Verify || p.Verification.CanSend {
		t.Errorf("the page says %+v", p.Verification)
	}
	// They count for a day, not for part of one.
	w.Exec(`UPDATE events SET created_at = created_at - interval '20 hours' WHERE invite_id = $1`, m.ID)
	if p := w.another(m); w.passcodes(m) != 6 || p.Verification.CanSend {
		t.Errorf("%d messages within a day; the page says %+v", w.passcodes(m), p.Verification)
	}
	w.Exec(`UPDATE events SET created_at = created_at - interval '4 hours' WHERE invite_id = $1`, m.ID)
	if w.another(m); w.passcodes(m) != 7 {
		t.Error("none the next day")
	}
}

func TestRobotsUseUpNeitherMessagesNorTries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.guarded(tracktest.Options{})
	robot := tap
	robot.UserAgent = "Mozilla/5.0 (compatible; Barracuda Sentinel)"
	insistent := robot
	insistent.Again = true
	w.Exec(`UPDATE invites SET livemode = true WHERE id = $1`, m.ID)
	for range 8 {
		if _, err := w.Continue(t.Context(), m.Code, robot); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.passcodes(m); n != 0 {
		t.Fatalf("a robot's press sent %d", n)
	}
	for range 8 {
		if _, err := w.SendPasscode(t.Context(), m.Code, insistent); err != nil {
			t.Fatal(err)
		}
		w.passcodesAgo(m, "11 minutes")
		w.Exec(`UPDATE deliveries SET status = 'sent', next_at = NULL WHERE invite_id = $1 AND kind = 'passcode'`, m.ID)
	}
	if n := w.passcodes(m); n != 2 {
		t.Errorf("robots that press twice caused %d messages", n)
	}
	if w.Get(m.ID).Progress != invite.NotOpened {
		t.Error("a robot counts as a visitor")
	}
	w.press(m.Code)
	if n := w.passcodes(m); n != 3 {
		t.Error("the person got none after them")
	}
	digits := w.digits(m)
	for range 7 {
		p, err := w.EnterPasscode(t.Context(), m.Code, secret.New(wrong(digits)), robot)
		if err != nil || !p.Page.Held || p.Page.State != visit.Verify {
			t.Fatalf("%v, held %t, %s", err, p.Page.Held, p.Page.State)
		}
	}
	if p := w.enter(m, digits); p.URL.IsZero() {
		t.Errorf("a robot used up the tries: %+v", p.Page.Verification)
	}
}

func TestDigitsAreWipedAndHashedAndNowhereElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.guarded(tracktest.Options{})
	w.press(m.Code)
	digits := w.digits(m)
	for _, table := range []string{"passcodes", "events", "deliveries", "invites"} {
		if n := w.Count(`SELECT count(*) FROM `+table+` t WHERE t::text LIKE '%' || $1 || '%'`, digits); n != 0 {
			t.Errorf("%s holds the digits", table)
		}
	}
	d := w.Count(`SELECT count(*) FROM passcodes WHERE invite_id = $1 AND digits IS NOT NULL`, m.ID)
	var id invite.DeliveryID
	if err := w.Pool.QueryRow(t.Context(), `SELECT delivery_id FROM passcodes WHERE invite_id = $1`, m.ID).Scan(&id); err != nil || d != 1 {
		t.Fatal(err, d)
	}
	w.Append(m.ID, invite.Event{Type: invite.EventDeliverySending, DeliveryID: id})
	if w.Count(`SELECT count(*) FROM passcodes WHERE digits IS NOT NULL`) != 1 {
		t.Fatal("the digits are gone while their message is being sent")
	}
	w.Append(m.ID, invite.Event{Type: invite.EventDeliveryAccepted, DeliveryID: id})
	if w.Count(`SELECT count(*) FROM passcodes WHERE digits IS NOT NULL`) != 0 {
		t.Error("the digits stay once their message has left")
	}
	if p := w.enter(m, digits); p.URL.IsZero() {
		t.Error("and do not count any more")
	}
	for name, end := range map[string]func(m tracktest.Made){
		"revoked":  func(m tracktest.Made) { w.Append(m.ID, invite.Event{Type: invite.EventRevoked}) },
		"reported": func(m tracktest.Made) { w.Append(m.ID, invite.Event{Type: invite.EventReported}) },
		"another person": func(m tracktest.Made) {
			w.InTx(func(tx pgx.Tx) error { return ledger.RetireCodes(t.Context(), tx, m.ID) })
		},
	} {
		m := w.guarded(tracktest.Options{})
		w.press(m.Code)
		end(m)
		if w.Count(`SELECT count(*) FROM passcodes WHERE invite_id = $1 AND (digits IS NOT NULL OR expires_at > now())`, m.ID) != 0 {
			t.Errorf("%s: digits are left", name)
		}
	}
}

func TestWhatBecomesOfAPasscodesMessageSaysNothingOfTheInvite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.guarded(tracktest.Options{})
	w.press(m.Code)
	var id invite.DeliveryID
	if err := w.Pool.QueryRow(t.Context(), `SELECT delivery_id FROM passcodes WHERE invite_id = $1`, m.ID).Scan(&id); err != nil {
		t.Fatal(err)
	}
	w.Exec(`UPDATE invites SET progress = 'none' WHERE id = $1`, m.ID)
	before := w.Get(m.ID)
	w.Append(m.ID, invite.Event{Type: invite.EventDeliveryBounced, DeliveryID: id, Data: invite.Data{Reason: invite.MailboxUnavailable}})
	after := w.Get(m.ID)
	if after.Status != invite.Active || after.DeliveryID != before.DeliveryID || *after.DeliveryStatus != *before.DeliveryStatus {
		t.Errorf("%s, delivery %s", after.Status, *after.DeliveryStatus)
	}
	page, err := w.Verifying(t.Context(), m.Code)
	if err != nil || page.State != visit.Verify || !page.Verification.Undelivered {
		t.Errorf("the page does not tell: %v %+v", err, page.Verification)
	}
}

func TestNoDigitsAreSentWhereTheyMayNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	blocked := w.process(func(p *visit.Params) {
		p.Suppressions = suppressions{standing: func(pgx.Tx, visit.Address) (bool, error) { return true, nil }}
	})
	m := w.guarded(tracktest.Options{})
	got, err := blocked.Continue(t.Context(), m.Code, tap)
	if err != nil || !got.URL.IsZero() || got.Page.State != visit.Verify || got.Page.Verification.Channel != "" || w.passcodes(m) != 0 {
		t.Errorf("to a blocked address: %v, link %t, %s, %+v", err, !got.URL.IsZero(), got.Page.State, got.Page.Verification)
	}
	// An app with a client token has no page to enter them on.
	app, err := w.ContinueInApp(t.Context(), m.ID)
	if err != nil || !app.URL.IsZero() || app.Page.State != visit.Verify || w.passcodes(m) != 0 {
		t.Errorf("in an app: %v, link %t, %s", err, !app.URL.IsZero(), app.Page.State)
	}
	// Digits without a request are rejected.
	if p := w.enter(m, "123456"); !p.URL.IsZero() {
		t.Fatal("any digits lead on where none were sent")
	}
	// Nor do an invite's that asks for none, nor after its end.
	plain := w.Invite(tracktest.Options{})
	if p := w.enter(plain, "123456"); !p.URL.IsZero() {
		t.Error("the page for digits leads on where none are asked for")
	}
	w.press(m.Code)
	digits := w.digits(m)
	w.Append(m.ID, invite.Event{Type: invite.EventExpired})
	if p := w.enter(m, digits); !p.URL.IsZero() || p.Page.State != visit.Expired {
		t.Errorf("after the end: %s", p.Page.State)
	}
}

func TestDigitsCountUntilThereIsALinkForThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.guarded(tracktest.Options{NoLink: true})
	w.press(m.Code)
	digits := w.digits(m)
	w.Vendor.Answer(503, "")
	if p := w.enter(m, digits); !p.URL.IsZero() || p.Page.State != visit.Busy {
		t.Fatalf("with Pipedream away: %s", p.Page.State)
	}
	w.passcodesAgo(m, "3 minutes")
	w.Vendor.Answer(0, "")
	if p := w.enter(m, digits); p.URL.IsZero() {
		t.Errorf("once it is back: %s, %+v", p.Page.State, p.Page.Verification)
	}
}

// TestNoPasscodeIsQueuedDuringAPause: it would end before it leaves, and the page must
// not say that it was sent.
func TestNoPasscodeIsQueuedDuringAPause(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	place := invite.Place{Project: "default"}
	m := w.guarded(tracktest.Options{Channel: invite.SMS})
	var by invite.KeyID
	if err := w.Pool.QueryRow(t.Context(), `SELECT created_by FROM invites WHERE id = $1`, m.ID).Scan(&by); err != nil {
		t.Fatal(err)
	}
	change := func(f func(tx pgx.Tx) error) {
		t.Helper()
		if err := postgres.InTx(t.Context(), w.Pool, f); err != nil {
			t.Fatal(err)
		}
		if err := w.pauses.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(name string, page visit.Page) {
		t.Helper()
		if v := page.Verification; page.State != visit.Verify || v.Channel != "" || v.CanSend || w.passcodes(m) != 0 {
			t.Errorf("%s: page %s, %+v, %d passcodes", name, page.State, v, w.passcodes(m))
		}
	}
	for _, subject := range []traffic.Subject{
		{Place: place, Scope: traffic.Country, Name: "US"}, {Place: place, Scope: traffic.Prefix, Name: "+1202"}, {Place: place, Scope: traffic.Key, Name: by.String()},
	} {
		change(func(tx pgx.Tx) error {
			_, err := traffic.InsertPause(t.Context(), tx, traffic.NewPause{Subject: subject, Source: traffic.ByPerson, Why: "pumping", By: "system"})
			return err
		})
		expect(string(subject.Scope), w.press(m.Code).Page)
		change(func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), `DELETE FROM sending_pauses`)
			return err
		})
	}
	change(func(tx pgx.Tx) error {
		_, err := queue.PauseLane(t.Context(), tx, place.Lane(invite.SMS), "system", "provider")
		return err
	})
	expect("channel", w.press(m.Code).Page)
	change(func(tx pgx.Tx) error {
		_, err := queue.ResumeLane(t.Context(), tx, place.Lane(invite.SMS))
		return err
	})
	if page := w.press(m.Code).Page; page.Verification.Channel != invite.SMS || w.passcodes(m) != 1 {
		t.Errorf("after the pauses: page %s, %+v, %d passcodes", page.State, page.Verification, w.passcodes(m))
	}
	change(func(tx pgx.Tx) error {
		_, err := traffic.InsertPause(t.Context(), tx, traffic.NewPause{Subject: traffic.Subject{Place: place, Scope: traffic.Country, Name: "US"}, Source: traffic.ByPerson, Why: "pumping", By: "system"})
		return err
	})
	w.passcodesAgo(m, "2 minutes")
	if page := w.another(m); page.Verification.CanSend || w.passcodes(m) != 1 {
		t.Errorf("another, during a pause: %+v, %d passcodes", page.Verification, w.passcodes(m))
	}
}
