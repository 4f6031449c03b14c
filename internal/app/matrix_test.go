package app_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/net/html/atom"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/sandbox"
	"github.com/connectlink/connectlink/internal/waittest"
)

// The axes of the recipient matrix: when a link is opened, what happened to it
// before, and in which browser.
func matrixAges() []time.Duration {
	return []time.Duration{time.Minute, 3*time.Hour + 50*time.Minute, 5 * time.Hour, 3 * 24 * time.Hour, 29 * 24 * time.Hour}
}

const (
	plainLink       = "plain"
	botVisited      = "a bot visited before"
	handedOutBefore = "handed out before"
	tokenSpent      = "token spent"
	failedBefore    = "failed before"
	pipedreamDown   = "Pipedream down and back"
)

func matrixTroubles() []string {
	return []string{plainLink, botVisited, handedOutBefore, tokenSpent, failedBefore, pipedreamDown}
}

func matrixBrowsers() []browserOfPerson {
	return []browserOfPerson{
		{name: "Chrome", agent: personsBrowser, language: "en", scripts: true},
		{name: "in-app browser", agent: instagramsBrowser, language: "en", scripts: true},
		{name: "no scripts", agent: personsBrowser, language: "en"},
		{name: "Arabic", agent: personsBrowser, language: "ar", scripts: true},
		{name: "phone of 320 px", agent: smallPhone, language: "en", scripts: true},
	}
}

const (
	instagramsBrowser = "Mozilla/5.0 (Linux; Android 14; Pixel 8 Build/UQ1A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/130.0.0.0 Mobile Safari/537.36 Instagram 340.0.0.22.109 Android"
	smallPhone        = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36"
)

// validOf is the valid_for of half of the matrix.
const validOf = 30 * 24 * time.Hour

// cell is one person of the matrix.
type cell struct {
	age     time.Duration
	valid   bool // with valid_for
	trouble string
	browser browserOfPerson

	id, link string
	uuid     uuid.UUID
	walk     *walk
}

func (c *cell) String() string {
	return fmt.Sprintf("after %s, valid_for %t, %s, %s", c.age, c.valid, c.trouble, c.browser.name)
}

// isLate reports whether the link has ended when it is opened.
func (c *cell) isLate() bool { return !c.valid && c.age > 4*time.Hour }

// taps is the most that a person may need. The fresh message adds the press that
// asks for it and the one that opens it. An app's own browser costs one more: out
// of it, twice where the fresh message opens in it too.
func (c *cell) taps() int {
	n := 1
	if c.isLate() {
		n += 2
	}
	if c.browser.agent == instagramsBrowser {
		n++
	}
	if c.trouble == pipedreamDown && !c.isLate() && !c.browser.scripts {
		n++ // without scripts the busy page cannot try again by itself
	}
	return n
}

// TestTheRecipientMatrix takes 300 people from their link to the connected account:
// every age of the link, with and without valid_for, after every trouble, in every
// browser. A person follows the main button of each page.
func TestTheRecipientMatrix(t *testing.T) {
	t.Parallel()
	p := start(t, boot{})
	db, err := pgx.Connect(t.Context(), p.db)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close(context.WithoutCancel(t.Context())) })
	var all []*cell
	for _, age := range matrixAges() {
		for _, valid := range []bool{false, true} {
			for _, trouble := range matrixTroubles() {
				for _, b := range matrixBrowsers() {
					all = append(all, &cell{age: age, valid: valid, trouble: trouble, browser: b})
				}
			}
		}
	}
	m := &matrix{product: p, db: db}
	m.each(all, func(c *cell) error { return m.create(c) })
	m.delivered(all, 1)
	m.each(all, m.trouble)
	m.waitForFailures(all)
	for _, age := range matrixAges() {
		m.age(age, all)
	}

	// The outage comes last, and meets its own people only.
	quiet, down := split(all, func(c *cell) bool { return c.trouble != pipedreamDown })
	m.each(quiet, m.open)
	m.continueWithFreshLinks(quiet)
	if err := p.app.Sandbox().SetFaults(sandbox.Faults{Pipedream: []sandbox.Fault{{Ops: []string{"mint"}, Status: http.StatusServiceUnavailable}}}); err != nil {
		t.Fatal(err)
	}
	m.each(down, m.open)
	busy, _ := split(down, func(c *cell) bool { return c.walk.at == "busy" })
	if len(busy) == 0 {
		t.Fatal("no press met the outage")
	}
	if err := p.app.Sandbox().SetFaults(sandbox.Faults{}); err != nil {
		t.Fatal(err)
	}
	m.comeBack(busy)
	m.continueWithFreshLinks(down)

	m.until("connected", all, `SELECT count(*) FROM invites WHERE id = ANY($1) AND status = 'connected'`)
	m.each(all, func(c *cell) error { return c.walk.finish() })
	m.check(all)
	m.checkLogo(all[0], "slack", "image/svg+xml")
	m.checkLogo(all[0], "hubspot", "image/png")
}

// matrix is the product that all cells share.
type matrix struct {
	*product
	db *pgx.Conn
}

// people is how many act at the same time.
const people = 12

// each lets every cell act, several at once, and reports each failure by its cell.
func (m *matrix) each(cells []*cell, act func(c *cell) error) {
	m.t.Helper()
	todo := make(chan *cell)
	var wait sync.WaitGroup
	for range people {
		wait.Go(func() {
			for c := range todo {
				if err := act(c); err != nil {
					m.t.Errorf("%s: %v", c, err)
				}
			}
		})
	}
	for _, c := range cells {
		todo <- c
	}
	close(todo)
	wait.Wait()
	if m.t.Failed() {
		m.t.FailNow()
	}
}

func (m *matrix) create(c *cell) error {
	body := to("delivered@connectlink.test")
	body["recipient"] = object{"email": "pat." + uuid.NewString() + "@customer.example", "name": "Pat"}
	body["external_user_id"] = c.String()
	if c.valid {
		body["valid_for"] = int(validOf / time.Second)
	}
	status, _, made := m.call(http.MethodPost, "/v1/invites", body)
	if status != http.StatusCreated {
		return fmt.Errorf("create: %d %v", status, made)
	}
	id, err := invite.Parse[invite.ID](made.text("id"))
	if err != nil {
		return err
	}
	c.id, c.uuid, c.link = made.text("id"), id.UUID(), made.text("invite_link.url")
	c.walk = &walk{http: m.http, browser: c.browser}
	return nil
}

// delivered waits until so many messages to each arrived.
func (m *matrix) delivered(cells []*cell, messages int) {
	m.t.Helper()
	m.until("delivered", cells, `SELECT count(DISTINCT invite_id) FROM deliveries WHERE invite_id = ANY($1) AND number = $2 AND status = 'delivered'`, messages)
}

// until waits until a query counts all the cells.
func (m *matrix) until(what string, cells []*cell, count string, args ...any) {
	m.t.Helper()
	have := 0
	waittest.Until(m.t, what, func() bool {
		if err := m.db.QueryRow(m.t.Context(), count, append([]any{idsOf(cells)}, args...)...).Scan(&have); err != nil {
			m.t.Fatal(err)
		}
		return have == len(cells)
	}, func() string { return fmt.Sprintf("%d of %d", have, len(cells)) })
}

func idsOf(cells []*cell) []uuid.UUID {
	ids := make([]uuid.UUID, len(cells))
	for i, c := range cells {
		ids[i] = c.uuid
	}
	return ids
}

// split parts the cells by a predicate.
func split(cells []*cell, first func(*cell) bool) (is, isNot []*cell) {
	for _, c := range cells {
		if first(c) {
			is = append(is, c)
		} else {
			isNot = append(isNot, c)
		}
	}
	return is, isNot
}

// scannersOfMail fetch and press as those of mail gateways do.
func scannersOfMail() []string {
	return []string{"BarracudaCentral", "Mimecast-URL-Scan", personsBrowser + " SafeLinks", "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"}
}

// trouble does what happened to a link before its person opens it.
func (m *matrix) trouble(c *cell) error {
	before := &walk{http: m.http, browser: matrixBrowsers()[0]}
	switch c.trouble {
	case botVisited:
		for _, agent := range scannersOfMail() {
			for range 3 {
				bot := &walk{http: m.http, browser: browserOfPerson{agent: agent}}
				if err := bot.get(c.link); err != nil {
					return err
				}
			}
		}
		for _, agent := range scannersOfMail()[:2] { // one runs scripts as well
			bot := &walk{http: m.http, browser: browserOfPerson{agent: agent, scripts: agent == scannersOfMail()[0]}}
			if err := bot.get(c.link); err != nil {
				return err
			}
			if err := bot.press(); err != nil || bot.isAtPipedream() {
				return fmt.Errorf("a bot pressed: it was given a link: %t, %w", bot.isAtPipedream(), err)
			}
		}
	case handedOutBefore, tokenSpent, failedBefore:
		if err := before.get(c.link); err != nil {
			return err
		}
		if err := before.press(); err != nil || !before.isAtPipedream() {
			return fmt.Errorf("the first press leads to %q: %w", before.at, err)
		}
		if c.trouble == failedBefore {
			return before.answerPipedream("deny")
		}
		if c.trouble == tokenSpent {
			return m.spend(c)
		}
	}
	return nil
}

// spend makes the token that was handed out unusable, as an attempt does of whose end
// no one is told.
func (m *matrix) spend(c *cell) error {
	db, err := pgx.Connect(m.t.Context(), m.product.db)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close(context.WithoutCancel(m.t.Context())) }()
	tag, err := db.Exec(m.t.Context(), `UPDATE sandbox.connect_tokens SET spent_at = now() WHERE spent_at IS NULL AND digest IN
		(SELECT token_digest FROM connect_links WHERE invite_id = $1)`, c.uuid)
	if err == nil && tag.RowsAffected() == 0 {
		err = fmt.Errorf("no token to spend")
	}
	return err
}

// waitForFailures waits until the failed attempts are known.
func (m *matrix) waitForFailures(all []*cell) {
	m.t.Helper()
	failed, _ := split(all, func(c *cell) bool { return c.trouble == failedBefore })
	m.until("the failures known", failed, `SELECT count(*) FROM invites WHERE id = ANY($1) AND progress = 'connect_failed'`)
}

// age makes time pass for the cells of an age, here and at Pipedream.
func (m *matrix) age(d time.Duration, all []*cell) {
	m.t.Helper()
	cells, _ := split(all, func(c *cell) bool { return c.age == d })
	for _, sql := range passing() {
		if _, err := m.db.Exec(m.t.Context(), sql, d, idsOf(cells)); err != nil {
			m.t.Fatal(err)
		}
	}
}

// open lets a person open the link and go on as far as the pages lead.
func (m *matrix) open(c *cell) error { return c.walk.open(c.link) }

// continueWithFreshLinks lets those who asked for a fresh link open its message.
func (m *matrix) continueWithFreshLinks(cells []*cell) {
	m.t.Helper()
	asked, _ := split(cells, func(c *cell) bool { return c.walk.at == "sent" })
	m.delivered(asked, 2)
	m.each(asked, func(c *cell) error {
		messages, err := m.app.Sandbox().Messages(m.t.Context(), sandbox.MessageFilter{InviteIDs: []string{c.id}})
		if err != nil || len(messages) != 2 {
			return fmt.Errorf("%d messages, %w", len(messages), err)
		}
		at := slices.IndexFunc(messages[0].Links, func(l string) bool { return strings.Contains(l, "/c/") })
		if at < 0 {
			return fmt.Errorf("the fresh message has no link")
		}
		c.walk.taps++ // which opens the message
		c.walk.browser = c.browser
		return c.walk.open(messages[0].Links[at])
	})
}

// comeBack lets the people on the busy page try again when it says. The first one's
// press closes the circuit breaker for the others.
func (m *matrix) comeBack(cells []*cell) {
	m.t.Helper()
	var until time.Time
	for _, c := range cells {
		if c.walk.retryAt.After(until) {
			until = c.walk.retryAt
		}
	}
	waittest.Until(m.t, "the time that the busy page names", func() bool { return !time.Now().Before(until) })
	try := func(c *cell) error { return c.walk.retry() }
	m.each(cells[:1], try)
	m.each(cells[1:], try)
}

// checkLogo demands that the page shows the app's logo, of this type, from this host.
func (m *matrix) checkLogo(c *cell, app, mediaType string) {
	m.t.Helper()
	made := m.invite(http.StatusCreated, with(with(to("delivered@connectlink.test"), "external_user_id", "logo"), "app", app))
	w, path := &walk{http: m.http, browser: c.browser}, ""
	waittest.Until(m.t, "the page has the app's logo", func() bool {
		if err := w.get(made.text("invite_link.url")); err != nil {
			m.t.Fatal(err)
		}
		for n := range w.main().Descendants() {
			if n.DataAtom == atom.Img {
				path = attr(n, "src")
			}
		}
		return path != ""
	})
	res, err := m.http.Get(m.base + path) //nolint:noctx // the client has a limit
	if err != nil {
		m.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if got := http.DetectContentType(raw); err != nil || got != mediaType && !bytes.HasPrefix(raw, []byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox=`)) {
		m.t.Errorf("%s is no picture: %s, %v", path, got, err)
	}
	for name, want := range map[string]string{
		"Content-Type": mediaType, "Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
	} {
		if got := res.Header.Get(name); got != want {
			m.t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if head, err := m.http.Head(m.base + path); err != nil || head.StatusCode != http.StatusOK { //nolint:noctx // as above
		m.t.Errorf("HEAD: %v, %v", head, err)
	} else {
		_ = head.Body.Close()
	}
	if gone, err := m.http.Get(m.base + "/logos/" + strings.Repeat("0", 32) + ".png"); err != nil || gone.StatusCode != http.StatusNotFound { //nolint:noctx // as above
		m.t.Errorf("an unknown logo: %v, %v", gone, err)
	} else {
		_ = gone.Body.Close()
	}
}

// check demands that each is connected, at our API and at Pipedream's stand-in, in
// as few taps as promised, and that a page in Arabic was one.
func (m *matrix) check(all []*cell) {
	m.t.Helper()
	accounts := map[string]bool{}
	var mu sync.Mutex
	m.each(all, func(c *cell) error {
		_, _, inv := m.call(http.MethodGet, "/v1/invites/"+c.id, nil)
		if inv.text("status") != "connected" || c.walk.at != "connected" {
			return fmt.Errorf("ends %s, on the page %q", inv.text("status"), c.walk.at)
		}
		if c.walk.taps > c.taps() {
			m.t.Errorf("%s: %d taps, want at most %d: %v", c, c.walk.taps, c.taps(), c.walk.seen)
		}
		if c.walk.language != c.browser.language {
			m.t.Errorf("%s: the pages are in %q", c, c.walk.language)
		}
		mu.Lock()
		defer mu.Unlock()
		accounts[inv.text("connection.account_id")] = true
		return nil
	})
	var there int
	if err := m.db.QueryRow(m.t.Context(), `SELECT count(*) FROM sandbox.accounts`).Scan(&there); err != nil {
		m.t.Fatal(err)
	}
	if there != len(all) || len(accounts) != len(all) {
		m.t.Errorf("%d people have %d accounts, and Pipedream made %d", len(all), len(accounts), there)
	}
	taps := map[int]int{}
	for _, c := range all {
		taps[c.walk.taps]++
	}
	for _, n := range slices.Sorted(maps.Keys(taps)) {
		m.t.Logf("%d people connected with %d taps", taps[n], n)
	}
}
