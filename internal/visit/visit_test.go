package visit_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/pause"
	"github.com/connectlink/connectlink/internal/quota"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/track/tracktest"
	"github.com/connectlink/connectlink/internal/visit"
)

type world struct {
	*tracktest.Kit
	*visit.Service
	t      testing.TB
	pauses *pause.Board

	mu      sync.Mutex
	confirm func(context.Context, invite.ID) (bool, error)
	effects []invite.Effect
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{Kit: tracktest.New(t), t: t}
	pauses, err := pause.NewBoard(w.Pool, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w.pauses = pauses
	w.Service = w.process()
	return w
}

// process makes another Service on the same database, as another process would be.
func (w *world) process(change ...func(*visit.Params)) *visit.Service {
	p := visit.Params{
		DB: w.Pool, Box: w.Box, Minters: w.Minters,
		Publish: func(_ context.Context, _ pgx.Tx, applied ...ledger.Applied) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, a := range applied {
				w.effects = append(w.effects, a.Effects...)
			}
			return nil
		},
		Confirmer: w, Suppressions: suppressions{},
		Wake: func(invite.Lane) {},
		Uses: func(quota.Message) []ledger.Use { return nil }, Pauses: w.pauses,
		Log: slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: slog.LevelError})),
	}
	for _, c := range change {
		c(&p)
	}
	s, err := visit.New(p)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
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
	p, err := w.Continue(w.t.Context(), code, tap)
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
		pressed, err := w.Continue(t.Context(), secret.New(code), tap)
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

// Confirm answers as the test says.
func (w *world) Confirm(ctx context.Context, id invite.ID) (bool, error) {
	w.mu.Lock()
	fn := w.confirm
	w.mu.Unlock()
	if fn == nil {
		return false, nil
	}
	return fn(ctx, id)
}

// suppressions hold what a test says, by default nothing, and tell of additions.
type suppressions struct {
	standing func(pgx.Tx, visit.Address) (bool, error)
	added    func(visit.Address)
	lifted   func([]visit.Address)
}

func (s suppressions) Suppressed(_ context.Context, tx pgx.Tx, a visit.Address) (bool, error) {
	if s.standing == nil {
		return false, nil
	}
	return s.standing(tx, a)
}

func (s suppressions) Suppress(_ context.Context, _ pgx.Tx, a visit.Address) (bool, error) {
	if s.added != nil {
		s.added(a)
	}
	return true, nil
}

func (s suppressions) Unsuppress(_ context.Context, _ pgx.Tx, _ invite.ID, of []visit.Address, _ time.Time) error {
	if s.lifted != nil {
		s.lifted(of)
	}
	return nil
}

func (suppressions) Resume(context.Context, pgx.Tx, visit.Address) (bool, error) { return true, nil }
