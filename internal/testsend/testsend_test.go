package testsend_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/compose"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/provider/sendgrid"
	"github.com/connectlink/connectlink/internal/sandbox"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/store/queue"
	"github.com/connectlink/connectlink/internal/store/suppression"
	"github.com/connectlink/connectlink/internal/testsend"
	"github.com/connectlink/connectlink/templates"
)

//nolint:gochecknoglobals // the files do not change
var builtIn = sync.OnceValues(func() (*message.Renderer, error) { return message.NewRenderer(templates.FS) })

const (
	publicURL = "https://go.acme.example"
	ownEmail  = "robin.unmistakable@acme.example"
)

func live() invite.Place { return invite.Place{Project: "default", Live: true} }

// site is a database, SendGrid's stand-in on a socket and the real client of it.
type site struct {
	*testsend.Service

	t        *testing.T
	db       *pgxpool.Pool
	box      *seal.Box
	log      *bytes.Buffer
	sandbox  *sandbox.Sandbox
	composer *compose.Composer
	texts    *message.Renderer
	sender   provider.Sender
	params   testsend.Params
}

func newSite(t *testing.T, change ...func(*testsend.Params)) *site {
	t.Helper()
	s := &site{t: t, db: postgrestest.Pool(t), log: &bytes.Buffer{}}
	s.box = need[*seal.Box](t)(seal.NewBox(need[*seal.Keyset](t)(seal.NewKeyset())))
	s.texts = need[*message.Renderer](t)(builtIn())
	var err error
	if s.composer, err = compose.New(compose.Params{PublicURL: publicURL, Messages: func(invite.Place) *message.Renderer { return s.texts }}); err != nil {
		t.Fatal(err)
	}
	if s.sandbox, err = sandbox.New(t.Context(), sandbox.Params{DB: s.db, Box: s.box, PublicURL: publicURL + "/sandbox"}); err != nil {
		t.Fatal(err)
	}
	vendors := httptest.NewServer(s.sandbox.Vendors())
	t.Cleanup(vendors.Close)
	s.sender = s.sendGrid(vendors.URL + "/sendgrid/@default")
	s.params = testsend.Params{
		DB: s.db, Box: s.box, Composer: s.composer,
		Senders: func(place invite.Place, ch invite.Channel) []provider.Sender {
			if place != live() || ch != invite.Email {
				return nil
			}
			return []provider.Sender{s.sender}
		},
		BlockKeys: func(place invite.Place, ch invite.Channel, address string) []seal.Hash {
			return suppression.Keys(s.box, suppression.Scope{Place: place}, ch, address)
		},
		PerSecond: func(string) (float64, int) { return 0, 0 },
		Log:       slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, c := range change {
		c(&s.params)
	}
	s.Service = s.process()
	return s
}

func (s *site) sendGrid(url string) provider.Sender {
	return sendgrid.New(sendgrid.Params{
		BaseURL: url, APIKey: s.sandbox.Credentials().SendGridAPIKey, From: message.Address{Email: secret.New("connect@acme.example"), Name: "Acme"},
	})
}

// process is another process's service over the same database.
func (s *site) process() *testsend.Service {
	s.t.Helper()
	service, err := testsend.New(s.params)
	if err != nil {
		s.t.Fatal(err)
	}
	return service
}

// staff makes an account, and returns its principal with a role.
func (s *site) staff(kind string, who account.Person, role access.Role) access.Principal {
	s.t.Helper()
	id := invite.New[invite.StaffID]()
	login := account.NewLogin(kind, "https://id.example", id.String())
	profile, err := who.Seal(s.box, id)
	if err != nil {
		s.t.Fatal(err)
	}
	err = postgres.InTx(s.t.Context(), s.db, func(tx pgx.Tx) error {
		return account.InsertStaff(s.t.Context(), tx, account.NewStaff{ID: id, Kind: kind, LoginHash: login.Hashes(s.box)[0], Login: []byte{1}, Profile: profile})
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return access.Staff(id.String(), role, live())
}

// admin is an administrator with a local account.
func (s *site) admin() access.Principal {
	s.t.Helper()
	return s.staff(account.ByPassword, account.Person{Name: "Robin Unmistakable", Email: ownEmail}, access.RoleAdmin)
}

// order is the first message to another person.
func (s *site) order(form string) testsend.Order {
	m := s.composer.TryMessage(config.Project{ID: "default", Brand: config.Brand{Name: "Acme"}}, "en", compose.UsualTrial())
	m.Livemode = true
	m.Content.Recipient.Email, m.Content.Recipient.Phone = "victim@elsewhere.example", "+12025550100"
	return testsend.Order{Act: access.ActMessages, Texts: s.texts, Message: m, Form: form}
}

func (s *site) inbox() []sandbox.Message {
	s.t.Helper()
	list, err := s.sandbox.Messages(s.t.Context(), sandbox.MessageFilter{Limit: 200})
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

func (s *site) count(sql string, args ...any) (n int) {
	s.t.Helper()
	if err := s.db.QueryRow(s.t.Context(), sql, args...).Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// refused fails unless nothing was sent, for the reason.
func (s *site) refused(err error, why testsend.Why) *testsend.RefusedError {
	s.t.Helper()
	var r *testsend.RefusedError
	if !errors.As(err, &r) || r.Why != why {
		s.t.Fatalf("error = %v, want %s", err, why)
	}
	if strings.Contains(err.Error(), "@") {
		s.t.Errorf("the error names an address: %v", err)
	}
	return r
}

func need[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// The message in the mailbox is the one that an invite would have been sent, apart from its
// link and the word before its subject, in every language and kind.
func TestATestSendIsTheMessageOfAnInvite(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 13, 40, 12, 0, time.UTC)
	s := newSite(t, func(p *testsend.Params) { p.Now = func() time.Time { return now } })
	for lang, prefix := range map[string]string{"en": "[Test] ", "de": "[Test] ", "es": "[Prueba] ", "fr": "[Test] ", "ar": "[اختبار] ", "pt-BR": "[Teste] ", "ja": "[テスト] "} {
		for _, kind := range []string{invite.KindFirst, invite.KindReminder, invite.KindResend} {
			by, o := s.admin(), s.order("form")
			o.Message.Content.Recipient.Locale, o.Message.Kind = lang, kind
			got, err := s.Send(t.Context(), by, o)
			if err != nil || got != (testsend.Result{Provider: "sendgrid", Outcome: testsend.Accepted}) {
				t.Fatalf("%s %s: %+v, %v", lang, kind, got, err)
			}
			real := o.Message
			code := access.NewCode().Reveal()
			real.Content.Recipient.Email, real.Content.Recipient.Name, real.Content.Recipient.Phone = ownEmail, "Robin Unmistakable", ""
			real.Code, real.Now, real.ExpiresAt = secret.New(code), now, now.Add(4*time.Hour)
			want, err := s.composer.Compose(real, invite.Email)
			if err != nil {
				t.Fatal(err)
			}
			sent := s.inbox()[0]
			link := func(text string) string { return strings.ReplaceAll(text, code, compose.SampleCode) }
			if diff := cmp.Diff(
				[]string{ownEmail, prefix + want.Email.Subject, link(want.Email.Text.Reveal()), link(want.Email.HTML.Reveal())},
				[]string{sent.To, sent.Subject, sent.Text, sent.HTML},
			); diff != "" {
				t.Errorf("%s %s differs (- an invite's, + sent):\n%s", lang, kind, diff)
			}
			if !strings.Contains(sent.Text, publicURL+"/c/"+compose.SampleCode) {
				t.Errorf("%s %s has no link", lang, kind)
			}
		}
	}
}

// Nothing becomes of a test send but its message, a row that limits the next, and an entry
// in the audit log; none of them, and no log, names the address.
func TestATestSendIsNoInvite(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	by := s.admin()
	if got, err := s.Send(t.Context(), by, s.order("form")); err != nil || got.Outcome != testsend.Accepted {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, table := range []string{"invites", "deliveries", "attempts", "events", "public_events", "suppressions", "sending_uses", "message_counts", "provider_accounts"} {
		if n := s.count(`SELECT count(*) FROM ` + table); n != 0 {
			t.Errorf("%s has %d rows", table, n)
		}
	}
	if n := s.count(`SELECT count(*) FROM audit WHERE act = 'message_test_sent' AND actor = $1 AND target LIKE 'tst\_%' AND project_id = 'default' AND livemode
		AND data = '{"from": "messages", "language": "en", "provider": "sendgrid"}'`, by.Actor()); n != 1 {
		t.Errorf("%d entries in the audit log", n)
	}
	if n := s.count(`SELECT count(*) FROM audit WHERE data::text LIKE '%@%'`); n != 0 {
		t.Error("the audit log has an address")
	}
	for _, word := range []string{"unmistakable", "Unmistakable", "victim", compose.SampleCode} {
		if strings.Contains(s.log.String(), word) {
			t.Errorf("the log holds %q", word)
		}
	}
	if !strings.Contains(s.log.String(), `"outcome":"accepted"`) {
		t.Errorf("the log: %s", s.log)
	}
}

func TestAnAccountWithoutAVerifiedAddressSendsNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for name, c := range map[string]struct {
		kind string
		who  account.Person
		why  testsend.Why
	}{
		"link":                           {account.ByLink, account.Person{Name: "dev"}, testsend.WhyNoAddress},
		"local account without an email": {account.ByPassword, account.Person{Name: "Kim", Email: "kim"}, testsend.WhyNoAddress},
		"issuer without an address":      {account.ByIssuer, account.Person{Name: "Kim", EmailVerified: true}, testsend.WhyNoAddress},
		"issuer that did not verify":     {account.ByIssuer, account.Person{Name: "Kim", Email: "kim@acme.example"}, testsend.WhyUnverified},
		"two addresses":                  {account.ByIssuer, account.Person{Email: "a@acme.example,b@acme.example", EmailVerified: true}, testsend.WhyNoAddress},
	} {
		by := s.staff(c.kind, c.who, access.RoleAdmin)
		_, err := s.Mailbox(t.Context(), by)
		s.refused(err, c.why)
		_, err = s.Send(t.Context(), by, s.order(name))
		s.refused(err, c.why)
	}
	by := s.staff(account.ByIssuer, account.Person{Name: "Kim", Email: "kim@acme.example", EmailVerified: true}, access.RoleAdmin)
	if _, err := s.Send(t.Context(), by, s.order("form")); err != nil {
		t.Error(err)
	}
	if list := s.inbox(); len(list) != 1 || list[0].To != "kim@acme.example" {
		t.Errorf("the inbox has %d messages", len(list))
	}
}

func TestOnlyStaffWithTheRoleSend(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	who := account.Person{Name: "Kim", Email: "kim@acme.example"}
	order := func(act access.Act) testsend.Order { o := s.order("form"); o.Act = act; return o }
	for _, c := range []struct {
		role access.Role
		act  access.Act
		may  bool
	}{
		{access.RoleViewer, access.ActMessages, false}, {access.RoleViewer, access.ActCreate, false}, {access.RoleAgent, access.ActMessages, false}, {access.RoleLead, access.ActMessages, false},
		{access.RoleViewer, access.ActRead, false}, {access.RoleAdmin, access.ActRead, false}, {access.RoleAgent, access.ActCreate, true}, {access.RoleAdmin, access.ActMessages, true},
	} {
		_, err := s.Send(t.Context(), s.staff(account.ByPassword, who, c.role), order(c.act))
		if c.may != (err == nil) || err != nil && !errors.Is(err, testsend.ErrForbidden) {
			t.Errorf("%s for %s: %v", c.role, c.act, err)
		}
	}
	disabled := s.staff(account.ByPassword, who, access.RoleAdmin)
	if _, err := s.db.Exec(t.Context(), `UPDATE staff SET disabled_at = now() WHERE id = $1`, idOf(t, disabled.ID)); err != nil {
		t.Fatal(err)
	}
	key := access.Principal{Kind: access.KindKey, ID: invite.New[invite.KeyID]().String(), Place: live(), Scopes: access.DefaultScopes()}
	for _, by := range []access.Principal{disabled, key, access.System(live())} {
		if _, err := s.Send(t.Context(), by, order(access.ActMessages)); !errors.Is(err, testsend.ErrForbidden) {
			t.Errorf("%s: %v", by.Actor(), err)
		}
	}
	if n := len(s.inbox()); n != 2 {
		t.Errorf("%d messages", n)
	}
}

func idOf(t *testing.T, text string) invite.StaffID {
	t.Helper()
	id, err := invite.Parse[invite.StaffID](text)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// Two processes count the sends of one person together, however many come at once, and
// other people's apart.
func TestProcessesShareTheLimit(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	by, processes := s.admin(), []*testsend.Service{s.process(), s.process()}
	const presses = 16
	faults := make(chan error, presses)
	var all sync.WaitGroup
	for i := range presses {
		all.Go(func() {
			_, err := processes[i%2].Send(t.Context(), by, s.order(string(rune('a'+i))))
			faults <- err
		})
	}
	all.Wait()
	close(faults)
	sent := 0
	for err := range faults {
		if err == nil {
			sent++
			continue
		}
		if r := s.refused(err, testsend.WhyLimit); r.After <= 9*time.Minute || r.After > testsend.ShortWindow {
			t.Errorf("worth another try after %s", r.After)
		}
	}
	if n := len(s.inbox()); sent != testsend.ShortLimit || n != testsend.ShortLimit {
		t.Errorf("%d were sent, and %d arrived", sent, n)
	}
	if _, err := s.Send(t.Context(), s.admin(), s.order("a")); err != nil {
		t.Errorf("a colleague: %v", err)
	}
	age := func(by string) {
		if _, err := s.db.Exec(t.Context(), `UPDATE test_sends SET started_at = started_at - $1::interval`, by); err != nil {
			t.Fatal(err)
		}
	}
	for round := 1; round < testsend.DayLimit/testsend.ShortLimit; round++ {
		age("11 minutes")
		for i := range testsend.ShortLimit {
			if _, err := s.Send(t.Context(), by, s.order("round"+string(rune('a'+round*10+i)))); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
	}
	age("11 minutes")
	_, err := s.Send(t.Context(), by, s.order("one more"))
	if r := s.refused(err, testsend.WhyLimit); r.After < 23*time.Hour-time.Minute || r.After > testsend.DayWindow {
		t.Errorf("after %d: worth another try after %s", testsend.DayLimit, r.After)
	}
	age("24 hours")
	if _, err := s.Send(t.Context(), by, s.order("the next day")); err != nil {
		t.Errorf("a day later: %v", err)
	}
	if n := s.count(`SELECT count(*) FROM test_sends WHERE staff_id = $1`, idOf(t, by.ID)); n != 1 {
		t.Errorf("%d rows are kept", n)
	}
}

// A form that is posted twice, also at once, sends once and is answered alike.
func TestAFormSendsOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	by := s.admin()
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			if _, err := s.Send(t.Context(), by, s.order("form")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	// It is told as well when nothing more could be sent.
	s.pause()
	if got, err := s.Send(t.Context(), by, s.order("form")); err != nil || got.Outcome != testsend.Accepted {
		t.Errorf("%+v, %v", got, err)
	}
	if n := len(s.inbox()); n != 1 {
		t.Errorf("%d messages", n)
	}
	if _, err := s.Send(t.Context(), by, s.order("")); err == nil {
		t.Error("a form without a key sends")
	}
}

func TestPausedSuppressedAndRestingSendNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	by := s.admin()
	exec := func(sql string, args ...any) {
		if _, err := s.db.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	s.pause()
	_, err := s.Send(t.Context(), by, s.order("1"))
	s.refused(err, testsend.WhyPaused)
	exec(`UPDATE lanes SET held_at = NULL, held_by = '', held_why = ''`)

	block, _, err := suppression.Insert(t.Context(), s.db, s.box, suppression.Scope{Place: live()}, suppression.New{
		Channel: invite.Email, Kind: invite.SpamReport, Address: secret.New(ownEmail), Source: suppression.FromReceipt,
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Send(t.Context(), by, s.order("2"))
	if r := s.refused(err, testsend.WhySuppressed); r.Block != invite.SpamReport {
		t.Errorf("block %q", r.Block)
	}
	exec(`UPDATE suppressions SET lifted_at = now() WHERE id = $1`, block)

	exec(`INSERT INTO provider_accounts (account, open_until) VALUES ($1, now() + interval '20 seconds')`, s.sender.Account())
	_, err = s.Send(t.Context(), by, s.order("3"))
	if r := s.refused(err, testsend.WhyResting); r.After <= 0 || r.After > 20*time.Second {
		t.Errorf("rests for %s", r.After)
	}
	// Its time for a probe is an invite's.
	exec(`UPDATE provider_accounts SET open_until = now() - interval '1 second'`)
	_, err = s.Send(t.Context(), by, s.order("4"))
	s.refused(err, testsend.WhyResting)
	exec(`UPDATE provider_accounts SET open_until = NULL`)

	other := access.Staff(by.ID, access.RoleAdmin, invite.Place{Project: "default"})
	o := s.order("5")
	o.Message.Livemode = false
	_, err = s.Send(t.Context(), other, o)
	s.refused(err, testsend.WhyNoProvider)

	if n := len(s.inbox()); n != 0 || s.count(`SELECT count(*) FROM test_sends`) != 0 || s.count(`SELECT count(*) FROM audit`) != 0 {
		t.Fatalf("%d messages", n)
	}
	if _, err := s.Send(t.Context(), by, s.order("6")); err != nil {
		t.Error(err)
	}
}

// The provider account's rate limit is the one that invites share.
func TestTheProvidersRateLimitHolds(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(p *testsend.Params) { p.PerSecond = func(string) (float64, int) { return 0.001, 1 } })
	by := s.admin()
	if got, _, err := queue.TakeTokens(t.Context(), s.db, s.sender.Account(), 1, 0.001, 1); err != nil || got > 1 {
		t.Fatal(got, err)
	}
	if got, _, err := queue.TakeTokens(t.Context(), s.db, s.sender.Account(), 1, 0.001, 1); err != nil || got != 1 {
		t.Fatal(got, err)
	}
	_, err := s.Send(t.Context(), by, s.order("1"))
	if r := s.refused(err, testsend.WhyBusy); r.After <= time.Minute {
		t.Errorf("worth another try after %s", r.After)
	}
	fresh := newSite(t, func(p *testsend.Params) { p.PerSecond = func(string) (float64, int) { return 0.001, 1 } })
	by = fresh.admin()
	if _, err := fresh.Send(t.Context(), by, fresh.order("1")); err != nil {
		t.Errorf("the first of an account: %v", err)
	}
	_, err = fresh.Send(t.Context(), by, fresh.order("2"))
	fresh.refused(err, testsend.WhyBusy)
}

// What the provider answers is told, and nothing is tried a second time.
func TestTheProvidersAnswerIsTold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault sandbox.Fault
		want  testsend.Result
		taken int
	}{
		"key refused":     {sandbox.Fault{Status: http.StatusUnauthorized}, testsend.Result{Outcome: testsend.Refused, Reason: invite.ProviderAccount}, 0},
		"too many":        {sandbox.Fault{Status: http.StatusTooManyRequests}, testsend.Result{Outcome: testsend.NotSent, Reason: invite.ProviderDown}, 0},
		"server error":    {sandbox.Fault{Status: http.StatusInternalServerError}, testsend.Result{Outcome: testsend.Unknown, Reason: invite.OutcomeUnknown}, 0},
		"answer was lost": {sandbox.Fault{Cut: sandbox.CutAfterTaking}, testsend.Result{Outcome: testsend.Unknown, Reason: invite.OutcomeUnknown}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			if err := s.sandbox.SetFaults(sandbox.Faults{SendGrid: []sandbox.Fault{c.fault}}); err != nil {
				t.Fatal(err)
			}
			by := s.admin()
			c.want.Provider = "sendgrid"
			for range 2 { // the second is the same form
				if got, err := s.Send(t.Context(), by, s.order("form")); err != nil || got != c.want {
					t.Errorf("%+v, %v", got, err)
				}
				if err := s.sandbox.SetFaults(sandbox.Faults{}); err != nil {
					t.Fatal(err)
				}
			}
			if n := len(s.inbox()); n != c.taken {
				t.Errorf("%d messages", n)
			}
			if strings.Contains(s.log.String(), "unmistakable") {
				t.Error("the log names the address")
			}
			if n := s.count(`SELECT count(*) FROM provider_accounts`); n != 0 {
				t.Error("the breaker counted it")
			}
		})
	}
}

// A provider that does not answer in time is not called again; the message may arrive. A
// person who leaves does not cut the call off.
func TestAProviderThatDoesNotAnswerIsNotCalledAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(p *testsend.Params) { p.CallDeadline = 200 * time.Millisecond })
	calls := make(chan struct{}, 10)
	release := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls <- struct{}{}; <-release }))
	t.Cleanup(silent.Close)
	t.Cleanup(func() { close(release) })
	s.sender = s.sendGrid(silent.URL)
	by := s.admin()
	ctx, leave := context.WithCancel(t.Context())
	go func() { <-calls; leave() }()
	got, err := s.Send(ctx, by, s.order("form"))
	if err != nil || got.Outcome != testsend.Unknown {
		t.Fatalf("%+v, %v", got, err)
	}
	if again, err := s.Send(t.Context(), by, s.order("form")); err != nil || again != got {
		t.Errorf("the same form: %+v, %v", again, err)
	}
	if len(calls) != 0 {
		t.Errorf("called %d more times", len(calls))
	}
	if n := s.count(`SELECT count(*) FROM test_sends WHERE outcome = 'unknown' AND reason = 'outcome_unknown'`); n != 1 {
		t.Error("the outcome is not recorded")
	}
}

// Without the database nothing is sent.
func TestNothingIsSentWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	by := s.admin()
	for _, table := range []string{"lanes", "suppressions", "provider_accounts", "audit", "test_sends"} {
		s.mustExec(`ALTER TABLE ` + table + ` RENAME TO away`)
		if _, err := s.Send(t.Context(), by, s.order("form")); err == nil {
			t.Errorf("sent without %s", table)
		}
		s.mustExec(`ALTER TABLE away RENAME TO ` + table)
	}
	if n := len(s.inbox()); n != 0 {
		t.Errorf("%d messages", n)
	}
	if _, err := s.Send(t.Context(), by, s.order("form")); err != nil {
		t.Error(err)
	}
}

// pause pauses the emails of live mode, as staff do.
func (s *site) pause() {
	s.t.Helper()
	lane := live().Lane(invite.Email)
	err := postgres.InTx(s.t.Context(), s.db, func(tx pgx.Tx) error {
		_, err := queue.PauseLane(s.t.Context(), tx, lane, "staff:x", "provider")
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) mustExec(sql string) {
	s.t.Helper()
	if _, err := s.db.Exec(s.t.Context(), sql); err != nil {
		s.t.Fatal(err)
	}
}

func TestAServiceNeedsItsCollaborators(t *testing.T) {
	t.Parallel()
	_, err := testsend.New(testsend.Params{})
	if err == nil || err.Error() != "testsend.Params lacks BlockKeys, Box, Composer, DB, Log, PerSecond, Senders" {
		t.Error(err)
	}
}
