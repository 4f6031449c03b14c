package visit_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/track/tracktest"
	"github.com/connectlink/connectlink/internal/visit"
)

type world struct {
	*tracktest.Kit
	*visit.Service
	t testing.TB

	mu      sync.Mutex
	confirm func(context.Context, invite.ID) (bool, error)
	effects []invite.Effect
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{Kit: tracktest.New(t), t: t}
	w.Service = w.process()
	return w
}

// process makes another Service on the same database, as another process would be.
func (w *world) process() *visit.Service {
	return visit.New(visit.Params{
		DB: w.Pool, Box: w.Box, Minters: w.Minters,
		Publish: func(_ context.Context, _ pgx.Tx, a ledger.Applied) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.effects = append(w.effects, a.Effects...)
			return nil
		},
		Confirm: func(ctx context.Context, id invite.ID) (bool, error) {
			w.mu.Lock()
			fn := w.confirm
			w.mu.Unlock()
			if fn == nil {
				return false, nil
			}
			return fn(ctx, id)
		},
		Log: slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: slog.LevelError})),
	})
}

func (w *world) open(code secret.Text) visit.Page {
	w.t.Helper()
	p, err := w.Open(w.t.Context(), code)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *world) press(code secret.Text) visit.Pressed {
	w.t.Helper()
	p, err := w.Continue(w.t.Context(), code)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// ago moves everything about an invite's hand-outs into the past.
func (w *world) ago(m tracktest.Made, d time.Duration) {
	w.t.Helper()
	w.Exec(`UPDATE connect_links SET handed_out_at = handed_out_at - make_interval(secs => $2), minted_at = minted_at - make_interval(secs => $2) WHERE invite_id = $1`, m.ID, d.Seconds())
}

func TestPageFollowsTheInvite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct {
		change func(m tracktest.Made)
		want   visit.State
	}{
		"an active invite":  {nil, visit.Ready},
		"visited":           {func(m tracktest.Made) { w.Append(m.ID, invite.Event{Type: invite.EventVisited}) }, visit.Ready},
		"continued":         {func(m tracktest.Made) { w.HandOut(m) }, visit.Ready},
		"failed to arrive":  {func(m tracktest.Made) { w.Exec(`UPDATE invites SET status = 'failed' WHERE id = $1`, m.ID) }, visit.Ready},
		"connection failed": {func(m tracktest.Made) { w.Append(m.ID, invite.Event{Type: invite.EventConnectFailed}) }, visit.CouldNotConnect},
		"connected": {func(m tracktest.Made) {
			w.Append(m.ID, invite.Event{Type: invite.EventConnected, Data: invite.Data{AccountID: "apn_1"}})
		}, visit.Connected},
		"expired": {func(m tracktest.Made) { w.Append(m.ID, invite.Event{Type: invite.EventExpired}) }, visit.Expired},
		"over, not swept yet": {func(m tracktest.Made) {
			w.Exec(`UPDATE invites SET gives_up_at = now() - interval '1 second' WHERE id = $1`, m.ID)
		}, visit.Expired},
		"failed and over": {func(m tracktest.Made) {
			w.Exec(`UPDATE invites SET status = 'failed', gives_up_at = now() WHERE id = $1`, m.ID)
		}, visit.Expired},
		"revoked": {func(m tracktest.Made) { w.Append(m.ID, invite.Event{Type: invite.EventRevoked}) }, visit.Revoked},
		"replaced": {func(m tracktest.Made) {
			n := w.Invite(tracktest.Options{})
			w.Append(m.ID, invite.Event{Type: invite.EventReplaced, Data: invite.Data{ReplacedBy: n.ID.String()}})
		}, visit.Replaced},
		"address corrected since": {func(m tracktest.Made) { w.Exec(`UPDATE codes SET retired_at = now() WHERE invite_id = $1`, m.ID) }, visit.Revoked},
		"address corrected, then connected": {func(m tracktest.Made) {
			w.Exec(`UPDATE codes SET retired_at = now() WHERE invite_id = $1`, m.ID)
			w.Append(m.ID, invite.Event{Type: invite.EventConnected, Data: invite.Data{AccountID: "apn_1"}})
		}, visit.Revoked},
		"erased": {func(m tracktest.Made) { w.Exec(`UPDATE invites SET content = NULL WHERE id = $1`, m.ID) }, visit.Unknown},
	} {
		m := w.Invite(tracktest.Options{})
		if c.change != nil {
			c.change(m)
		}
		before := w.Count(`SELECT seq FROM invites WHERE id = $1`, m.ID)
		page := w.open(m.Code)
		if page.State != c.want {
			t.Errorf("%s: page %s, want %s", name, page.State, c.want)
		}
		if c.want == visit.Unknown && !cmp.Equal(page, visit.Page{State: visit.Unknown}, cmp.AllowUnexported(invite.ID{})) {
			t.Errorf("%s: the page of an unknown link says more: %+v", name, page)
		}
		if strings.HasPrefix(name, "address corrected") && page.Content.Recipient.Email != "" {
			t.Errorf("%s: shows the right person's address", name)
		}
		if after := w.Count(`SELECT seq FROM invites WHERE id = $1`, m.ID); after != before {
			t.Errorf("%s: opening recorded %d events", name, after-before)
		}
		// A press of a page that does not lead on changes nothing either.
		if c.want != visit.Ready && c.want != visit.CouldNotConnect {
			got := w.press(m.Code)
			if got.Page.State != c.want || !got.URL.IsZero() {
				t.Errorf("%s: a press gives page %s, link %t", name, got.Page.State, !got.URL.IsZero())
			}
		}
	}
	if n := w.Vendor.Mints(); n != 0 {
		t.Errorf("%d tokens minted", n)
	}
}

func TestCodesThatLeadNowhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, code := range []string{"", "x", access.NewCode().Reveal(), strings.Repeat("a", 21), "aaaaaaaaaaaaaaaaaaa\x00", "' OR digest IS NOT NULL", strings.Repeat("\u202e", 20), strings.Repeat("A", 1<<16)} {
		page, err := w.Open(t.Context(), secret.New(code))
		if err != nil || page.State != visit.Unknown {
			t.Errorf("open: %v, %v", page.State, err)
		}
		pressed, err := w.Continue(t.Context(), secret.New(code))
		if err != nil || pressed.Page.State != visit.Unknown || !pressed.URL.IsZero() {
			t.Errorf("continue: %v, %v", pressed.Page.State, err)
		}
		done, err := w.Done(t.Context(), secret.New(code), visit.Errored)
		if err != nil || done.State != visit.Unknown {
			t.Errorf("done: %v, %v", done.State, err)
		}
		if err := errors.Join(w.Seen(t.Context(), secret.New(code), person), w.Fetched(t.Context(), secret.New(code), person)); err != nil {
			t.Error(err)
		}
	}
	if n := w.Count(`SELECT count(*) FROM events`); n != 0 {
		t.Errorf("%d events", n)
	}
}

func TestPressHandsOutTheHeldLinkAndADoubleTapGetsTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	first := w.press(m.Code)
	if !strings.Contains(first.URL.Reveal(), m.Token.Reveal()) {
		t.Fatal("the press did not give the link that was held")
	}
	second := w.press(m.Code)
	if second.URL != first.URL {
		t.Error("a double tap got another link")
	}
	if n := w.Vendor.Mints(); n != 0 {
		t.Errorf("%d tokens minted for nothing", n)
	}
	if diff := cmp.Diff([]invite.EventType{"created", "link.continued"}, w.Types(m.ID)); diff != "" {
		t.Error(diff)
	}
	if n := w.Count(`SELECT count(*) FROM invites WHERE progress = 'continued' AND first_handed_out_at IS NOT NULL AND poll_at > now()`); n != 1 {
		t.Error("the hand-out is not recorded, so nobody looks for the account")
	}
}

func TestLaterPressesMintAfresh(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	first := w.press(m.Code)
	w.ago(m, 59*time.Second)
	if again := w.press(m.Code); again.URL != first.URL {
		t.Error("59 seconds later it was another link")
	}
	w.ago(m, 2*time.Second)
	before := w.Get(m.ID).ExpiresAt
	fresh := w.press(m.Code)
	if fresh.URL == first.URL || fresh.URL.IsZero() {
		t.Fatal("61 seconds later it was the same link")
	}
	if !strings.Contains(fresh.URL.Reveal(), "&app=slack") {
		t.Error("the fresh link does not name the app")
	}
	if after := w.Get(m.ID).ExpiresAt; !after.Equal(*before) {
		t.Errorf("a press moved the invite's own end from %s to %s", before, after)
	}
	want := []invite.EventType{"created", "link.continued", "link.minted", "link.continued"}
	if diff := cmp.Diff(want, w.Types(m.ID)); diff != "" {
		t.Error(diff)
	}
}

func TestPressMintsWhereTooLittleIsLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{ValidFor: 24 * time.Hour})
	w.Exec(`UPDATE connect_links SET expires_at = now() + interval '14 minutes' WHERE invite_id = $1`, m.ID)
	got := w.press(m.Code)
	if got.URL.IsZero() || strings.Contains(got.URL.Reveal(), m.Token.Reveal()) {
		t.Error("a link with 14 minutes left was handed out")
	}
	if n := w.Vendor.Mints(); n != 1 {
		t.Errorf("%d tokens minted", n)
	}
}

func TestTryAgainAfterAFailureMintsEvenWithinAMinute(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	first := w.press(m.Code)
	page, err := w.Done(t.Context(), m.Code, visit.Errored)
	if err != nil || page.State != visit.CouldNotConnect {
		t.Fatalf("back with an error: page %s, %v", page.State, err)
	}
	fresh := w.press(m.Code)
	if fresh.URL.IsZero() || fresh.URL == first.URL {
		t.Error("trying again gave the spent link")
	}
	if again := w.press(m.Code); again.URL != fresh.URL {
		t.Error("a double tap on it minted twice")
	}
}

func TestTryAgainAfterTheAPIsOwnLinkFailedMints(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{Channel: invite.LinkOnly}) // an app opened the link that the API answered with
	if page, err := w.Done(t.Context(), m.Code, visit.Errored); err != nil || page.State != visit.CouldNotConnect {
		t.Fatalf("page %s, %v", page.State, err)
	}
	if got := w.press(m.Code); got.URL.IsZero() || strings.Contains(got.URL.Reveal(), m.Token.Reveal()) {
		t.Error("trying again gave the link that had failed")
	}
}

func TestPendingInviteBecomesActiveByAPress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{NoLink: true})
	if got := w.Get(m.ID); got.Status != invite.Pending || got.ExpiresAt != nil {
		t.Fatalf("fixture: %s, %v", got.Status, got.ExpiresAt)
	}
	if p := w.open(m.Code); p.State != visit.Ready || !p.ExpiresAt.IsZero() {
		t.Errorf("page %s until %v", p.State, p.ExpiresAt)
	}
	if w.press(m.Code).URL.IsZero() {
		t.Fatal("no link")
	}
	got := w.Get(m.ID)
	if got.Status != invite.Active || got.ExpiresAt == nil || !got.ExpiresAt.Equal(*got.LinkExpiresAt) {
		t.Errorf("invite is %s until %v, its link until %v", got.Status, got.ExpiresAt, got.LinkExpiresAt)
	}
	if left := got.ExpiresAt.Sub(got.Now); left > 4*time.Hour || left < 4*time.Hour-time.Minute {
		t.Errorf("%s left", left)
	}
}

func TestManyPressesAtOnceMintOncePerProcess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{NoLink: true})
	processes := []*visit.Service{w.Service, w.process(), w.process()}
	const each = 8
	var begun sync.WaitGroup
	begun.Add(len(processes))
	// Every process's mint waits for the others', so that all of them race.
	w.Vendor.OnMint(func() {
		begun.Done()
		waitFor(&begun)
	})
	urls := make(chan string, len(processes)*each)
	var all sync.WaitGroup
	for _, p := range processes {
		for range each {
			all.Go(func() {
				got, err := p.Continue(t.Context(), m.Code)
				if err != nil {
					t.Error(err)
				}
				urls <- got.URL.Reveal()
			})
		}
	}
	all.Wait()
	close(urls)
	distinct := map[string]int{}
	for u := range urls {
		distinct[u]++
	}
	if len(distinct) != 1 || distinct[""] != 0 {
		t.Errorf("presses got %d different links", len(distinct))
	}
	if n := w.Vendor.Mints(); n > len(processes) {
		t.Errorf("%d tokens minted by %d processes", n, len(processes))
	}
	if n := w.Count(`SELECT count(*) FROM connect_links WHERE invite_id = $1`, m.ID); n != 1 {
		t.Errorf("%d links stored", n)
	}
	if diff := cmp.Diff([]invite.EventType{"created", "link.minted", "link.continued"}, w.Types(m.ID)); diff != "" {
		t.Error(diff)
	}
}

// waitFor waits, but not for ever: a process that lost may never mint.
func waitFor(wg *sync.WaitGroup) {
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(2 * time.Second):
	}
}

func TestNothingIsHandedOutForAnInviteThatEndsDuringTheMint(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(w *world, m tracktest.Made){
		"revoked": func(w *world, m tracktest.Made) { w.Append(m.ID, invite.Event{Type: invite.EventRevoked}) },
		"address corrected": func(w *world, m tracktest.Made) {
			w.InTx(func(tx pgx.Tx) error { return ledger.RetireCodes(context.Background(), tx, m.ID) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			m := w.Invite(tracktest.Options{NoLink: true})
			w.Vendor.OnMint(func() { end(w, m) })
			got := w.press(m.Code)
			if !got.URL.IsZero() || got.Page.State != visit.Revoked {
				t.Errorf("page %s, link %t", got.Page.State, !got.URL.IsZero())
			}
			if n := w.Count(`SELECT count(*) FROM connect_links`); n != 0 {
				t.Error("the link was stored")
			}
		})
	}
}

func TestNoTransactionIsOpenDuringTheMint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{NoLink: true})
	open := -1
	w.Vendor.OnMint(func() {
		open = w.Count(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in%'`)
		if n := w.Pool.Stat().AcquiredConns(); n != 0 {
			t.Errorf("%d connections held during the mint", n)
		}
	})
	w.press(m.Code)
	if open != 0 {
		t.Errorf("%d transactions open during the mint", open)
	}
}

func TestBusyWhenPipedreamGivesNoLink(t *testing.T) {
	t.Parallel()
	for status, outcome := range map[int]string{http.StatusServiceUnavailable: "passing", http.StatusTooManyRequests: "passing", http.StatusForbidden: "refused"} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			m := w.Invite(tracktest.Options{NoLink: true})
			w.Vendor.Answer(status, "")
			for i := range 3 {
				got := w.press(m.Code)
				if got.Page.State != visit.Busy || !got.URL.IsZero() || got.Page.RetryAfter <= 0 {
					t.Fatalf("page %s, retry after %s", got.Page.State, got.Page.RetryAfter)
				}
				if got.Page.MintFailures != i+1 {
					t.Errorf("press %d: %d failures in a row", i+1, got.Page.MintFailures)
				}
			}
			events := w.Events(m.ID)
			if last := events[len(events)-1]; last.Type != invite.EventMintFailed || last.Data.Outcome != outcome {
				t.Errorf("last event %s, %q", last.Type, last.Data.Outcome)
			}
			if got := w.Get(m.ID); got.Status != invite.Pending {
				t.Errorf("invite is %s", got.Status)
			}
			w.Vendor.Answer(0, "")
			if w.press(m.Code).URL.IsZero() {
				t.Error("no link when Pipedream was back")
			}
			if p := w.open(m.Code); p.MintFailures != 0 {
				t.Errorf("still %d failures after a success", p.MintFailures)
			}
		})
	}
}

func TestRobotsThatPressUseUpNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{ValidFor: 24 * time.Hour})
	for range 5 {
		w.press(m.Code)
		w.ago(m, 2*time.Minute)
	}
	if p := w.open(m.Code); p.State != visit.Ready {
		t.Errorf("page %s", p.State)
	}
	if w.press(m.Code).URL.IsZero() {
		t.Error("the person got no link")
	}
}

var person = visit.Evidence{Method: http.MethodGet, UserAgent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1", AcceptLanguage: "en-US"}

func TestBeaconCountsOnceAndOnlyAPerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	robot := person
	robot.UserAgent = "Mozilla/5.0 (compatible; Barracuda Sentinel)"
	if err := w.Seen(t.Context(), m.Code, robot); err != nil {
		t.Fatal(err)
	}
	if got := w.Get(m.ID).Progress; got != invite.NotOpened {
		t.Errorf("a scanner's beacon made it %s", got)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := w.Seen(t.Context(), m.Code, person); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if diff := cmp.Diff([]invite.EventType{"created", "link.visited"}, w.Types(m.ID)); diff != "" {
		t.Error(diff)
	}
}

func TestFetchLogIsCappedAndChangesNoStatus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			e := person
			if i%2 == 0 {
				e = visit.Evidence{Method: http.MethodGet, UserAgent: "python-requests/2.32"}
			}
			if err := w.Fetched(t.Context(), m.Code, e); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	got := w.Get(m.ID)
	if got.Status != invite.Active || got.Progress != invite.NotOpened {
		t.Errorf("invite is %s, %s", got.Status, got.Progress)
	}
	n := 0
	for _, e := range w.Events(m.ID) {
		if e.Type == invite.EventFetched {
			n++
			if !slices.Contains([]string{"person", "scanner"}, e.Data.LooksLike) {
				t.Errorf("classed as %q", e.Data.LooksLike)
			}
		}
	}
	if n != 20 {
		t.Errorf("%d fetches kept, want 20", n)
	}
}

func TestLooksLike(t *testing.T) {
	t.Parallel()
	const chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
	for _, c := range []struct {
		e    visit.Evidence
		want visit.Visitor
	}{
		{person, visit.Person},
		{visit.Evidence{Method: "GET", UserAgent: chrome, AcceptLanguage: "de"}, visit.Person},
		{visit.Evidence{Method: "GET", UserAgent: "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140 Mobile Safari/537.36 Instagram 350.0", AcceptLanguage: "pt-BR"}, visit.Person},
		{visit.Evidence{Method: "HEAD", UserAgent: chrome, AcceptLanguage: "de"}, visit.Scanner},
		{visit.Evidence{Method: "GET", UserAgent: chrome, AcceptLanguage: "de", Purpose: "prefetch;prerender"}, visit.Scanner},
		{visit.Evidence{Method: "GET", UserAgent: chrome}, visit.Scanner},
		{visit.Evidence{Method: "GET"}, visit.Scanner},
		{visit.Evidence{Method: "GET", UserAgent: "curl/8.10"}, visit.Scanner},
		{visit.Evidence{Method: "GET", UserAgent: "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"}, visit.PreviewRobot},
		{visit.Evidence{Method: "GET", UserAgent: "facebookexternalhit/1.1 Facebot Twitterbot/1.0", AcceptLanguage: "en"}, visit.PreviewRobot},
		{visit.Evidence{Method: "GET", UserAgent: "WhatsApp/2.24.1 A"}, visit.PreviewRobot},
	} {
		if got := c.e.LooksLike(); got != c.want {
			t.Errorf("%s %q: %s, want %s", c.e.Method, c.e.UserAgent, got, c.want)
		}
	}
}

func TestDoneConfirmsBeforeItSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{Content: &invite.Content{ReturnURL: "https://product.example/back?a=1#top"}})
	w.press(m.Code)
	page, err := w.Done(t.Context(), m.Code, visit.Succeeded)
	if err != nil || page.State != visit.Finishing {
		t.Fatalf("unconfirmed: page %s, %v", page.State, err)
	}
	w.confirm = func(context.Context, invite.ID) (bool, error) { return false, errors.New("Pipedream is down") }
	if page, err = w.Done(t.Context(), m.Code, visit.Succeeded); err != nil || page.State != visit.Finishing {
		t.Fatalf("during an outage: page %s, %v", page.State, err)
	}
	w.confirm = func(_ context.Context, id invite.ID) (bool, error) {
		w.Append(id, invite.Event{Type: invite.EventConnected, Data: invite.Data{AccountID: "apn_1"}})
		sealed, err := w.Box.Seal([]byte("Acme"), seal.AD{Column: "invites.account_name", ID: id.UUID()})
		if err != nil {
			return false, err
		}
		w.InTx(func(tx pgx.Tx) error { return ledger.SetAccountName(t.Context(), tx, id, sealed) })
		return true, nil
	}
	page, err = w.Done(t.Context(), m.Code, visit.Succeeded)
	if err != nil || page.State != visit.Connected || page.AccountName != "Acme" {
		t.Fatalf("confirmed: page %s, account %q, %v", page.State, page.AccountName, err)
	}
	want := "https://product.example/back?a=1&invite=" + m.ID.String() + "&status=connected#top"
	if got, custom := page.ReturnURL(visit.ReturnConnected); got != want || custom {
		t.Errorf("return to %s, custom %t", got, custom)
	}
	// The name is for who just connected it.
	if p := w.open(m.Code); p.AccountName != "" {
		t.Error("the invite link's own page names the account")
	}
	w.Exec(`UPDATE invites SET connected_at = now() - interval '11 minutes'`)
	if p, _ := w.Done(t.Context(), m.Code, visit.Succeeded); p.AccountName != "" || p.State != visit.Connected {
		t.Errorf("after eleven minutes: page %s, account %q", p.State, p.AccountName)
	}
	if p, _ := w.Done(t.Context(), m.Code, visit.Errored); p.State != visit.Connected {
		t.Errorf("a hint of an error made a connected invite's page %s", p.State)
	}
}

func TestReturnURLs(t *testing.T) {
	t.Parallel()
	id := invite.New[invite.ID]()
	tail := "invite=" + id.String() + "&status=failed"
	for url, want := range map[string]struct {
		target string
		custom bool
	}{
		"":                                   {},
		"https://a.example":                  {"https://a.example?" + tail, false},
		"https://a.example/x?y=%20z":         {"https://a.example/x?y=%20z&" + tail, false},
		"myapp://done":                       {"myapp://done?" + tail, true},
		"com.example.app:/oauth?x=1":         {"com.example.app:/oauth?x=1&" + tail, true},
		"javascript:alert(1)":                {},
		"JavaScript://a.example/%0aalert(1)": {},
		"data:text/html,x":                   {},
		"http://a.example":                   {},
		"//a.example":                        {},
		"https://user:pw@a.example":          {},
		"https:a.example":                    {},
		"\x00":                               {},
	} {
		p := visit.Page{InviteID: id, Content: invite.Content{ReturnURL: url}}
		got, custom := p.ReturnURL(visit.ReturnFailed)
		if got != want.target || custom != want.custom {
			t.Errorf("%q: %q, %t; want %q, %t", url, got, custom, want.target, want.custom)
		}
	}
}
