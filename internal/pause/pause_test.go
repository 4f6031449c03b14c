package pause_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/chaos"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/pause"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/traffic"
)

var live = invite.Place{Project: "default", Live: true}

func open(t *testing.T, db *pgxpool.Pool) (*pause.Service, *pause.Board) {
	t.Helper()
	board, err := pause.NewBoard(db, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s, err := pause.New(db, func(invite.Lane) {}, board)
	if err != nil {
		t.Fatal(err)
	}
	return s, board
}

func subject(t *testing.T, place invite.Place, country, prefix string) traffic.Subject {
	t.Helper()
	s, err := pause.ParseSubject(place, country, prefix)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func staff(role access.Role, place invite.Place) access.Principal {
	return access.Staff(invite.New[invite.StaffID]().String(), role, place)
}

func count(t *testing.T, db *pgxpool.Pool, sql string, args ...any) (n int) {
	t.Helper()
	if err := db.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestSubjectNamesACountryOrTheFirstDigits(t *testing.T) {
	t.Parallel()
	for in, want := range map[[2]string]traffic.Subject{
		{" gb ", ""}:        {Place: live, Scope: traffic.Country, Name: "GB"},
		{"001", ""}:         {Place: live, Scope: traffic.Country, Name: "001"},
		{"", "+447700"}:     {Place: live, Scope: traffic.Prefix, Name: "+447700"},
		{"", " +4477009 "}:  {Place: live, Scope: traffic.Prefix, Name: "+4477009"},
		{"", "+8821612345"}: {Place: live, Scope: traffic.Prefix, Name: "+8821612345"},
	} {
		if got, err := pause.ParseSubject(live, in[0], in[1]); err != nil || got != want {
			t.Errorf("%q: %+v, %v", in, got, err)
		}
	}
	for _, in := range [][2]string{{"", ""}, {"GB", "+44"}, {"XX", ""}, {"G", ""}, {"", "447700"}, {"", "+44"}, {"", "+0447"}, {"", "+44740012345645678"}, {"", "+44 77"}, {"all", ""}} {
		if _, err := pause.ParseSubject(live, in[0], in[1]); invite.CodeOf(err) != invite.CodeInvalidRequest {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestPauseConcernsItsOwnMessagesOnly(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	s, board := open(t, db)
	_, other := open(t, db) // another process
	lead := staff(access.RoleLead, live)
	for _, one := range []traffic.Subject{subject(t, live, "GB", ""), subject(t, live, "", "+1415555")} {
		if changed, err := s.StopSubject(t.Context(), lead, one, pause.Pumping); err != nil || !changed {
			t.Fatalf("%v, %v", changed, err)
		}
		if changed, err := s.StopSubject(t.Context(), lead, one, pause.Pumping); err != nil || changed {
			t.Errorf("paused twice: %v, %v", changed, err)
		}
	}
	if err := other.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	test := invite.Place{Project: "default"}
	for _, c := range []struct {
		m    traffic.Message
		want string
	}{
		{traffic.Message{Place: live, Channel: invite.SMS, Address: "+447400123456"}, "GB"},
		{traffic.Message{Place: live, Channel: invite.SMS, Address: "+441481960194"}, ""}, // Guernsey has +44 too
		{traffic.Message{Place: live, Channel: invite.SMS, Address: "+14155550123"}, "+1415555"},
		{traffic.Message{Place: live, Channel: invite.SMS, Address: "+14155650123"}, ""},
		{traffic.Message{Place: live, Channel: invite.Email, Address: "pat@customer.example"}, ""},
		{traffic.Message{Place: test, Channel: invite.SMS, Address: "+447400123456"}, ""},
		{traffic.Message{Place: invite.Place{Project: "other", Live: true}, Channel: invite.SMS, Address: "+447400123456"}, ""},
		{traffic.Message{Place: live, Channel: invite.SMS}, ""},
	} {
		for _, b := range []*pause.Board{board, other} {
			if p, ok := b.Find(c.m); ok != (c.want != "") || p.Name != c.want {
				t.Errorf("%+v: %q, %v; want %q", c.m, p.Name, ok, c.want)
			}
		}
	}
	if !other.Any(live) || other.Any(test) {
		t.Error("which projects have pauses is wrong")
	}
}

func TestResumingIsForPeopleWhereTheServicePaused(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	s, board := open(t, db)
	gb := subject(t, live, "GB", "")
	err := postgres.InTx(t.Context(), db, func(tx pgx.Tx) error {
		ok, err := traffic.InsertPause(t.Context(), tx, traffic.NewPause{
			Subject: gb, Source: traffic.ByFirewall, Why: string(pause.NotVisited), By: "system", Figures: traffic.Figures{Sent: 200, Visited: 1},
		})
		if !ok {
			t.Error("not inserted")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	key := access.Principal{Kind: access.KindKey, ID: "key_1", Place: live, Scopes: access.Scopes()}
	narrow := access.Principal{Kind: access.KindKey, ID: "key_2", Place: live, Scopes: access.DefaultScopes()}
	for name, p := range map[string]access.Principal{
		"a key": key, "a key without the scope": narrow, "an agent": staff(access.RoleAgent, live),
		"a lead elsewhere": staff(access.RoleLead, invite.Place{Project: "other", Live: true}),
	} {
		if _, err := s.ResumeSubject(t.Context(), p, gb); invite.CodeOf(err) != invite.CodeInsufficientScope {
			t.Errorf("%s: %v", name, err)
		}
	}
	if changed, err := s.ResumeSubject(t.Context(), staff(access.RoleLead, live), gb); err != nil || !changed {
		t.Fatalf("a lead: %v, %v", changed, err)
	}
	if changed, err := s.ResumeSubject(t.Context(), staff(access.RoleLead, live), gb); err != nil || changed {
		t.Errorf("resumed twice: %v, %v", changed, err)
	}
	if board.Any(live) {
		t.Error("it is paused still")
	}
	list, err := s.List(t.Context(), staff(access.RoleLead, live), 5)
	if err != nil || len(list) != 1 || list[0].ResumedAt == nil || list[0].Figures.Sent != 200 {
		t.Errorf("listed %+v, %v", list, err)
	}
	if n := count(t, db, `SELECT count(*) FROM audit WHERE act = 'country_resumed' AND target = 'sms_country:GB' AND why = 'not_visited'`); n != 1 {
		t.Errorf("%d entries in the audit log", n)
	}
	// What a key paused by hand, a key resumes.
	if _, err := s.StopSubject(t.Context(), key, gb, pause.Pumping); err != nil {
		t.Fatal(err)
	}
	if changed, err := s.ResumeSubject(t.Context(), key, gb); err != nil || !changed {
		t.Errorf("by hand: %v, %v", changed, err)
	}
	if _, err := s.StopSubject(t.Context(), narrow, gb, pause.Pumping); invite.CodeOf(err) != invite.CodeInsufficientScope {
		t.Errorf("a key without the scope paused: %v", err)
	}
	if _, err := s.StopSubject(t.Context(), key, gb, "whim"); invite.CodeOf(err) != invite.CodeInvalidRequest || !strings.Contains(err.Error(), "faults") {
		t.Errorf("a reason that is none: %v", err)
	}
	if _, err := s.StopSubject(t.Context(), key, traffic.Subject{Place: live, Scope: traffic.Key, Name: "key_1"}, pause.Pumping); invite.CodeOf(err) != invite.CodeInvalidRequest {
		t.Errorf("a key paused by hand: %v", err)
	}
}

// One statement for a whole backlog would exceed its timeout, and the resume with it.
func TestResumingMakesABacklogDueInBatches(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	s, _ := open(t, db)
	keyset, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	box, err := seal.NewBox(keyset)
	if err != nil {
		t.Fatal(err)
	}
	rig := chaos.Rig{DB: db, Box: box, Log: slog.New(slog.DiscardHandler)}
	if _, err := rig.Insert(t.Context(), 1001, chaos.Load{Channel: invite.SMS, Content: func(c *invite.Content) { c.Recipient.Phone = "+447400123456" }}); err != nil {
		t.Fatal(err)
	}
	place := invite.Place{Project: "default"}
	gb, lead := subject(t, place, "GB", ""), staff(access.RoleLead, place)
	if _, err := s.StopSubject(t.Context(), lead, gb, pause.Pumping); err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec(t.Context(), `UPDATE deliveries SET reason = 'sending_paused', next_at = now() + interval '1 hour';
		CREATE FUNCTION refuse_many() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN IF (SELECT count(*) FROM changed) > 1000 THEN RAISE 'too many rows'; END IF; RETURN NULL; END $$;
		CREATE TRIGGER refuse_many AFTER UPDATE ON deliveries REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION refuse_many()`)
	if err != nil {
		t.Fatal(err)
	}
	if changed, err := s.ResumeSubject(t.Context(), lead, gb); err != nil || !changed {
		t.Fatal(changed, err)
	}
	if n := count(t, db, `SELECT count(*) FROM deliveries WHERE next_at > now()`); n != 0 {
		t.Errorf("%d messages wait on", n)
	}
}

func TestChannelPauseIsShownOnTheBoard(t *testing.T) {
	t.Parallel()
	s, board := open(t, postgrestest.Pool(t))
	admin := staff(access.RoleAdmin, live)
	if _, err := s.Stop(t.Context(), staff(access.RoleLead, live), invite.SMS, pause.Provider); invite.CodeOf(err) != invite.CodeInsufficientScope {
		t.Errorf("a lead paused a channel: %v", err)
	}
	if changed, err := s.Stop(t.Context(), admin, invite.SMS, pause.Provider); err != nil || !changed {
		t.Fatal(changed, err)
	}
	if !board.Held(live.Lane(invite.SMS)) || board.Held(live.Lane(invite.Email)) {
		t.Error("the board shows other channels")
	}
	if list, err := s.ListHeld(t.Context(), admin); err != nil || len(list) != 1 || list[0].Lane != live.Lane(invite.SMS) {
		t.Errorf("listed %+v, %v", list, err)
	}
	if changed, err := s.Resume(t.Context(), admin, invite.SMS); err != nil || !changed || board.Held(live.Lane(invite.SMS)) {
		t.Errorf("resumed: %v, %v", changed, err)
	}
}
