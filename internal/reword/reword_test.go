package reword_test

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/compose"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/reword"
	"github.com/connectlink/connectlink/templates"
)

//nolint:gochecknoglobals // the files do not change
var builtIn = sync.OnceValues(func() (*message.Renderer, error) { return message.NewRenderer(templates.FS) })

// process is what each process has of the texts.
type process struct {
	*reword.Service

	board    *reword.Board
	composer *compose.Composer
}

func open(t *testing.T, db *pgxpool.Pool, log *slog.Logger) process {
	t.Helper()
	own, err := builtIn()
	if err != nil {
		t.Fatal(err)
	}
	var p process
	places := []invite.Place{{Project: "a"}, {Project: "a", Live: true}, {Project: "b"}, {Project: "b", Live: true}}
	if p.board, err = reword.NewBoard(db, places, func(string) *message.Renderer { return own }, log); err != nil {
		t.Fatal(err)
	}
	if p.composer, err = compose.New(compose.Params{PublicURL: "https://go.acme.example", Messages: p.board.Messages}); err != nil {
		t.Fatal(err)
	}
	if p.Service, err = reword.New(reword.Params{DB: db, Board: p.board, Composer: p.composer, Project: project}); err != nil {
		t.Fatal(err)
	}
	return p
}

func project(id string) (config.Project, bool) {
	return config.Project{ID: id, Brand: config.Brand{Name: "Acme"}}, id == "a" || id == "b"
}

func admin(place invite.Place) access.Principal {
	by := access.Staff(invite.New[invite.StaffID]().String(), access.RoleAdmin, place)
	by.Origin = access.Origin{RequestID: "req_1", AddressHash: []byte{1}}
	return by
}

// button is the button of the first message, as this process would send it.
func (p process) button(t *testing.T, place invite.Place) string {
	t.Helper()
	pr, _ := project(place.Project)
	m := p.composer.TryMessage(pr, "en", compose.UsualTrial())
	m.Livemode = place.Live
	out, err := p.composer.Compose(m, invite.Email)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(out.Email.Text.Reveal(), "results”\n\n")
	line, _, _ := strings.Cut(rest, ":\n")
	if out.Version != p.board.Messages(place).Version() {
		t.Error("the message has another version than its texts")
	}
	return line
}

var first = message.Slot{Language: "en", Situation: message.OnFirst}

func TestProcessesSayTheNewTextWithinOnePoll(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	quiet := slog.New(slog.DiscardHandler)
	one, two := open(t, db, quiet), open(t, db, quiet)
	test, live := invite.Place{Project: "a"}, invite.Place{Project: "a", Live: true}
	says := func(what string, p process, place invite.Place, want string) {
		t.Helper()
		if got := p.button(t, place); got != want {
			t.Errorf("%s, %v: %q, want %q", what, place, got, want)
		}
	}
	if ok, err := one.Save(t.Context(), admin(test), first, message.Wording{Button: "Go to {App}"}, 0); err != nil || !ok {
		t.Fatal(ok, err)
	}
	says("the process that saved", one, test, "Go to Slack")
	says("another before its poll", two, test, "Connect Slack")
	if err := two.board.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]process{"one": one, "two": two} {
		says(name, p, test, "Go to Slack")
		says(name, p, live, "Connect Slack")
		says(name, p, invite.Place{Project: "b"}, "Connect Slack")
	}
	if one.board.Messages(test).Version() != two.board.Messages(test).Version() || one.board.Messages(test).Version() == one.board.Messages(live).Version() {
		t.Error("the recorded versions do not follow the texts")
	}

	// Live mode gets it by a version of its own.
	if ok, err := one.CopyToLive(t.Context(), admin(test), first, 1); err != nil || !ok {
		t.Fatal(ok, err)
	}
	if ok, err := one.CopyToLive(t.Context(), admin(test), first, 1); err != nil || ok {
		t.Errorf("a second copy: %v, %v", ok, err)
	}
	if _, err := one.CopyToLive(t.Context(), admin(live), first, 1); !errors.Is(err, reword.ErrNoMessage) {
		t.Errorf("from live mode: %v", err)
	}
	says("copied", one, live, "Go to Slack")

	// A process that cannot read keeps what it has.
	gone, err := pgxpool.NewWithConfig(t.Context(), db.Config().Copy())
	if err != nil {
		t.Fatal(err)
	}
	cut := open(t, gone, quiet)
	if err := cut.board.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	gone.Close()
	if err := cut.board.Load(t.Context()); err == nil {
		t.Error("a closed pool was read")
	}
	says("without a database", cut, test, "Go to Slack")

	// Back to an earlier version, and to the templates.
	if ok, err := two.Save(t.Context(), admin(test), first, message.Wording{Button: "Now {App}"}, 1); err != nil || !ok {
		t.Fatal(ok, err)
	}
	if err := two.Restore(t.Context(), admin(test), first, 1, 2); err != nil {
		t.Fatal(err)
	}
	says("restored", two, test, "Go to Slack")
	if err := two.Restore(t.Context(), admin(test), first, 0, 3); err != nil {
		t.Fatal(err)
	}
	says("built in", two, test, "Connect Slack")
	says("live mode is not touched", two, live, "Go to Slack")
	for name, c := range map[string]struct {
		version, base int64
		want          error
	}{"a version of nothing": {9, 4, reword.ErrNoMessage}, "a stale base": {1, 3, reword.ErrChanged}} {
		if err := two.Restore(t.Context(), admin(test), first, c.version, c.base); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}

	var audit []string
	rows, err := db.Query(t.Context(), `SELECT livemode::text || ' ' || act || ' ' || target || ' ' || (data->>'did') || ' ' || (data->>'version') || coalesce(' of ' || (data->>'of'), '') FROM audit ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		audit = append(audit, line)
	}
	want := []string{
		"false messages en/first saved 1", "true messages en/first copied 1 of 1", "false messages en/first saved 2",
		"false messages en/first restored 3 of 1", "false messages en/first restored 4 of 0",
	}
	if diff := cmp.Diff(want, audit); diff != "" {
		t.Error(diff)
	}
}

// A stored text that this version of the program cannot render leaves the others in use.
func TestATextThatCannotBeRenderedIsLeftOut(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	var log strings.Builder
	p := open(t, db, slog.New(slog.NewTextHandler(&log, nil)))
	if _, err := db.Exec(t.Context(), `INSERT INTO message_wordings (project_id, livemode, version, language, situation, subject, lead, button, did, author) VALUES
		('a', false, 1, 'xx', 'first', '', '', 'A removed language', 'saved', 'staff:1'), ('a', false, 2, 'en', 'first', '', '', 'Still {App}', 'saved', 'staff:1')`); err != nil {
		t.Fatal(err)
	}
	if err := p.board.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := p.button(t, invite.Place{Project: "a"}); got != "Still Slack" {
		t.Errorf("the button is %q", got)
	}
	if !strings.Contains(log.String(), "language=xx") || strings.Contains(log.String(), "removed") {
		t.Errorf("the log: %s", log.String())
	}
}

func TestOnlyAdministratorsChangeMessages(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	p := open(t, db, slog.New(slog.DiscardHandler))
	place := invite.Place{Project: "a"}
	lead := access.Staff(invite.New[invite.StaffID]().String(), access.RoleLead, place)
	_, errList := p.List(t.Context(), lead, "en")
	_, errGet := p.Get(t.Context(), lead, first)
	_, errVersions := p.Versions(t.Context(), lead, first, 0, 1)
	_, errPreview := p.Preview(t.Context(), lead, first, message.Wording{})
	_, errSave := p.Save(t.Context(), lead, first, message.Wording{Button: "x"}, 0)
	_, errCopy := p.CopyToLive(t.Context(), lead, first, 0)
	for name, err := range map[string]error{
		"list": errList, "get": errGet, "versions": errVersions, "preview": errPreview, "save": errSave, "copy": errCopy, "restore": p.Restore(t.Context(), lead, first, 0, 0),
	} {
		if !errors.Is(err, reword.ErrForbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, slot := range []message.Slot{{Language: "xx", Situation: message.OnFirst}, {Language: "en", Situation: "passcode"}, {Language: "en-US", Situation: message.OnFirst}} {
		if _, err := p.Save(t.Context(), admin(place), slot, message.Wording{Button: "x"}, 0); !errors.Is(err, reword.ErrNoMessage) {
			t.Errorf("%v: %v", slot, err)
		}
	}
}

func TestMessagesOfOneInviteHaveDifferentSubjects(t *testing.T) {
	t.Parallel()
	p := open(t, postgrestest.Pool(t), slog.New(slog.DiscardHandler))
	by := admin(invite.Place{Project: "a"})
	resend := message.Slot{Language: "en", Situation: message.OnResend}
	var faults *reword.FaultsError
	if _, err := p.Save(t.Context(), by, resend, message.Wording{Subject: "Connect your {App} account to {Brand}"}, 0); !errors.As(err, &faults) || faults.Faults[0].Code != message.WordingSame {
		t.Errorf("the subject of the first message: %v", err)
	}
	if ok, err := p.Save(t.Context(), by, resend, message.Wording{Subject: "Again: {App} and {Brand}"}, 0); err != nil || !ok {
		t.Fatal(ok, err)
	}
	if _, err := p.Save(t.Context(), by, first, message.Wording{Subject: "Again: {App} and {Brand}"}, 0); !errors.As(err, &faults) || faults.Faults[0].Code != message.WordingSame {
		t.Errorf("the stored subject of the resend: %v", err)
	}
	// Texts of the templates are not stored.
	m, err := p.Get(t.Context(), by, first)
	if err != nil {
		t.Fatal(err)
	}
	if changed, err := p.Save(t.Context(), by, first, m.Templates, 0); err != nil || changed {
		t.Errorf("the templates' own texts: %v, %v", changed, err)
	}
}
