package console_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/watch"
	"github.com/connectlink/connectlink/internal/web"
)

// ward is a site with invites that move when told to.
type ward struct {
	*site
	box   *seal.Box
	watch *watch.Registry
}

func newWard(t *testing.T, change ...func(*console.Params)) *ward {
	t.Helper()
	w := &ward{}
	w.site = newSite(t, append(change, func(p *console.Params) {
		w.box, w.watch = p.Box, p.Watch
		p.Streams = web.NewStreams(web.StreamParams{Beat: 2 * time.Second})
	})...)
	return w
}

// invited makes an invite in the default project's test mode, with one message.
func (w *ward) invited(email string) (invite.ID, invite.DeliveryID) {
	w.t.Helper()
	id, delivery, code := invite.New[invite.ID](), invite.New[invite.DeliveryID](), invite.New[invite.EventID]().UUID()
	content := invite.Content{Recipient: invite.Recipient{Email: email, Name: "Pat Doe"}}
	plain := must[[]byte](w.t)(json.Marshal(content))
	secretCode := access.NewCode()
	_, err := ledger.Insert(w.t.Context(), w.db, []ledger.New{{
		ID: id, Place: invite.Place{Project: "default"}, Environment: "development", Status: invite.Active, Channel: invite.Email, LinkType: invite.InviteLink,
		InitiatedBy: invite.ByProduct, ExternalUserID: "user-" + id.String(), App: invite.App{Slug: "slack", Name: "Slack"},
		Content:   must[[]byte](w.t)(w.box.Seal(plain, seal.AD{Column: "invites.content", ID: id.UUID()})),
		ExpiresIn: time.Hour, CreatedBy: invite.New[invite.KeyID](),
		Delivery: &ledger.Delivery{ID: delivery, Number: 1, Channel: invite.Email, Kind: "first", Lane: invite.Place{Project: "default"}.Lane(invite.Email)},
		Code:     ledger.Code{ID: code, Digest: secret.Digest(secretCode), Sealed: must[[]byte](w.t)(w.box.Seal([]byte(secretCode.Reveal()), seal.AD{Column: "codes.code", ID: code}))},
		Event:    invite.Event{ID: invite.New[invite.EventID](), Type: invite.EventCreated},
		Terms:    ledger.Terms(w.box, invite.Place{Project: "default"}, content),
	}})
	if err != nil {
		w.t.Fatal(err)
	}
	return id, delivery
}

// move lets something happen to an invite.
func (w *ward) move(id invite.ID, events ...invite.Event) {
	w.t.Helper()
	if err := postgres.InTx(w.t.Context(), w.db, func(tx pgx.Tx) error {
		_, err := ledger.Append(w.t.Context(), tx, w.box, id, events...)
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	w.watch.Moved(id)
}

// stream is the event stream of an invite's page, line by line.
type stream struct {
	*http.Response
	lines *bufio.Scanner
}

func (b *browser) stream(address string) stream {
	b.s.t.Helper()
	req := must[*http.Request](b.s.t)(http.NewRequestWithContext(b.s.t.Context(), http.MethodGet, b.s.url+address, nil))
	req.Header.Set("Accept", "text/event-stream")
	resp := must[*http.Response](b.s.t)(b.http.Do(req))
	b.s.t.Cleanup(func() { _ = resp.Body.Close() })
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	return stream{resp, lines}
}

// event reads on to the next event; ok is false when the stream ended.
func (s stream) event() (data string, ok bool) {
	for s.lines.Scan() {
		if text, found := strings.CutPrefix(s.lines.Text(), "data: "); found {
			data += text + "\n"
		} else if s.lines.Text() == "" && data != "" {
			return data, true
		}
	}
	return data, false
}

// Regression: an open page received events for ten more minutes after
// access ended.
func TestBugAnOpenStreamEndsWithTheRightToSeeIt(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	id, delivery := w.invited("pat@customer.example")
	address := "/console/default/test/invites/" + id.String()
	for name, end := range map[string]func(){
		"the session is revoked":  func() { w.exec(`UPDATE staff_sessions SET ended_at = now(), ended_why = 'revoked'`) },
		"the session is idle":     func() { w.exec(`UPDATE staff_sessions SET seen_at = now() - interval '31 minutes'`) },
		"the account is disabled": func() { w.exec(`UPDATE staff SET disabled_at = now()`) },
		"the role is gone":        func() { w.exec(`DELETE FROM staff_roles`) },
		"the role is another":     func() { w.exec(`UPDATE staff_roles SET role = 'viewer'`) },
	} {
		b := w.signedIn(name, map[string]access.Role{"default": access.RoleAdmin})
		open := b.stream(address + "?details=1")
		if first, ok := open.event(); !ok || !strings.Contains(first, `<dl class="facts small">`) {
			t.Fatalf("%s: the stream began with %d %q", name, open.StatusCode, first)
		}
		end()
		w.move(id, invite.Event{Type: invite.EventDeliveryDeferred, DeliveryID: delivery, At: time.Now()})
		if more, ok := open.event(); ok {
			t.Errorf("%s, and the stream goes on: %.200s", name, more)
		}
		w.exec(`UPDATE staff_sessions SET ended_at = now(), ended_why = 'revoked' WHERE ended_at IS NULL`)
		w.exec(`UPDATE staff SET disabled_at = NULL`)
	}
	// Where nothing moves it ends as well, with the next sign of life.
	b := w.signedIn("quiet", map[string]access.Role{"default": access.RoleLead})
	open := b.stream(address)
	open.event()
	w.exec(`UPDATE staff_sessions SET ended_at = now(), ended_why = 'revoked'`)
	if more, ok := open.event(); ok {
		t.Errorf("said %.200s", more)
	}
}

// A browser reconnects to its stream automatically. Regression: a reconnect
// counted as activity, so an open page was never signed out, and it consumed
// flash messages.
func TestBugAPageThatListensIsNobodyAtTheDesk(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	id, _ := w.invited("pat@customer.example")
	address := "/console/default/test/invites/" + id.String()
	b := w.signedIn("pat", map[string]access.Role{"default": access.RoleAgent})
	w.exec(`UPDATE staff_sessions SET seen_at = now() - interval '20 minutes', flash = 'good:On its way.'`)
	open := b.stream(address)
	if _, ok := open.event(); !ok {
		t.Fatal(open.StatusCode)
	}
	_ = open.Body.Close()
	if w.count(`SELECT count(*) FROM staff_sessions WHERE seen_at < now() - interval '19 minutes'`) != 1 {
		t.Error("the stream kept the session alive")
	}
	if a := b.get(address); !strings.Contains(a.body, "On its way.") {
		t.Error("the stream took away what the next page was to say")
	}
	w.exec(`UPDATE staff_sessions SET seen_at = now() - interval '31 minutes'`)
	refused := b.stream(address)
	if refused.StatusCode != http.StatusUnauthorized || refused.Header.Get("Set-Cookie") != "" {
		t.Errorf("after the session: %d, %q", refused.StatusCode, refused.Header.Get("Set-Cookie"))
	}
	// So the person, who presses something later, is told why.
	to := must[*url.URL](t)(url.Parse(b.get(address).location()))
	if to.Query().Get("why") != "idle" || to.Query().Get("back") != address {
		t.Errorf("the person is sent to %s", to)
	}
}

// What a form posts to, and may answer at, is an address of its own. Once that
// address, asked for after a sign-in or a change of language, was nothing.
func TestBugTheAddressOfAnAnswerLeadsToItsPage(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	id, _ := w.invited("pat@customer.example")
	home := "/console/default/test/invites/" + id.String()
	b := w.signedIn("pat", map[string]access.Role{"default": access.RoleAgent})
	if a := b.follow(b.post(home+"/unmask", nil)); !strings.Contains(a.body, "pat@customer.example") {
		t.Fatalf("unmask: %d", a.StatusCode)
	}
	w.exec(`UPDATE staff_sessions SET seen_at = now() - interval '31 minutes'`)
	b.extra.Set("Referer", w.url+home+"/unmask")
	to := must[*url.URL](t)(url.Parse(b.post(home+"/unmask", nil).location()))
	b.extra.Del("Referer")
	b = w.signedIn("pat", map[string]access.Role{"default": access.RoleAgent})
	for _, address := range []string{to.Query().Get("back"), home + "/unmask"} {
		if a := b.follow(b.get(address)); a.StatusCode != http.StatusOK || !strings.Contains(a.body, `id="timeline"`) || strings.Contains(a.body, "pat@customer.example") {
			t.Errorf("%q: %d", address, a.StatusCode)
		}
	}
	for _, at := range []string{"/unmask", "/lift"} {
		if a := b.get("/console/default/test/blocks/x" + at); a.location() != "/console/default/test/blocks/x" {
			t.Errorf("a block's %s leads to %q", at, a.location())
		}
	}
	if w.count(`SELECT count(*) FROM audit WHERE act = 'unmask'`) != 1 {
		t.Error("looking at the page again is recorded as showing the address")
	}
}

// A colleague who has the page open sees that another took the invite, and their note.
func TestAnOpenPageFollowsOwnerAndNotes(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	id, _ := w.invited("pat@customer.example")
	home := "/console/default/test/invites/" + id.String()
	kim, sam := w.signedIn("Kim Berg", map[string]access.Role{"default": access.RoleViewer}), w.signedIn("Sam Rivera", map[string]access.Role{"default": access.RoleAgent})
	open := kim.stream(home)
	if first, ok := open.event(); !ok || strings.Contains(first, "Assigned to") {
		t.Fatalf("%d %q", open.StatusCode, first)
	}
	sam.post(home+"/take", nil)
	if next, ok := open.event(); !ok || !strings.Contains(next, "Sam Rivera") || !strings.Contains(next, "Assigned to") || strings.Contains(next, "/take") {
		t.Errorf("after taking it: %q", next)
	}
	sam.post(home+"/notes", url.Values{"text": {"calls back pat@customer.example at noon"}})
	if next, ok := open.event(); !ok || !strings.Contains(next, "at noon") || strings.Contains(next, "pat@customer.example") {
		t.Errorf("after the note: %q", next)
	}
}

// Technical details of all steps are shown and hidden by one link.
func TestTechnicalDetailsAreShownByOneLink(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	id, _ := w.invited("pat@customer.example")
	home := "/console/default/test/invites/" + id.String()
	admin, lead := w.signedIn("admin", map[string]access.Role{"default": access.RoleAdmin}), w.signedIn("lead", map[string]access.Role{"default": access.RoleLead})
	hidden, shown := admin.get(home).body, admin.get(home+"?details=1").body
	if !strings.Contains(hidden, "Show technical details") || strings.Contains(hidden, `<dl class="facts small">`) {
		t.Error("the page shows them before the press, or has no link")
	}
	if !strings.Contains(shown, "Hide technical details") || strings.Count(shown, `<dl class="facts small">`) < 2 || !strings.Contains(shown, `data-stream="`+home+`?details=1"`) {
		t.Error("the page does not show them, or its stream forgets them")
	}
	if body := lead.get(home + "?details=1").body; strings.Contains(body, "technical details") || strings.Contains(body, `<dl class="facts small">`) {
		t.Error("a lead sees them")
	}
}
