package grant_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/waittest"
)

// Wrong codes of requests at once are counted one by one: five are compared, however
// many come.
func TestWrongCodesAtOnceLockTheSecondFactorAtTheFifth(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	if _, err := o.try(password, grant.Browser{}); err != nil {
		t.Fatal(err)
	}
	ticket, err := o.CheckPassword(t.Context(), login, password, grant.Browser{})
	if err != nil {
		t.Fatal(err)
	}
	outcomes := make(chan error, 20)
	for i := range cap(outcomes) {
		go func() {
			_, err := o.Finish(t.Context(), ticket.Token, secret.New("no code"), grant.Browser{Client: fmt.Sprint("192.0.2.", i)})
			outcomes <- err
		}()
	}
	wrong, locked := 0, 0
	for range cap(outcomes) {
		switch err := <-outcomes; {
		case errors.Is(err, grant.ErrCode):
			wrong++
		case isLocked(err):
			locked++
		default:
			t.Error(err)
		}
	}
	if wrong != 5 || locked != 15 {
		t.Errorf("%d codes were compared, %d locked out", wrong, locked)
	}
	if n := len(o.audited(grant.ActSignInFailed)); n != 5 {
		t.Errorf("the audit log has %d wrong codes", n)
	}
}

// A right confirmation ends the count of failures, as a sign-in does: else mistakes
// of weeks add up to a lock.
func TestConfirmForgetsFailures(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	b := grant.Browser{Client: "198.51.100.7"}
	token := o.signIn(password)
	for i := range 8 {
		if err := o.Confirm(t.Context(), o.session(token), wrong, o.code(0), b); !errors.Is(err, grant.ErrRefused) {
			t.Fatalf("wrong password %d: %v", i, err)
		}
		o.exec(`UPDATE staff_totp SET last_step = 0`)
		if err := o.Confirm(t.Context(), o.session(token), password, o.code(0), b); err != nil {
			t.Fatalf("confirmation %d: %v", i, err)
		}
	}
	var n int
	if err := o.db.QueryRow(t.Context(), `SELECT count(*) FROM sign_in_failures`).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d counts are left, %v", n, err)
	}
}

// Elsewhere an account is locked before its sessions; the other order is a deadlock.
func TestLogoutByIssuerLocksTheAccountBeforeItsSessions(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	token, err := o.SignInWithOIDC(t.Context(), ada(map[string]access.Role{"acme": access.RoleAgent}, "s1"), grant.Browser{})
	if err != nil {
		t.Fatal(err)
	}
	tx, err := o.db.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }()
	id := o.session(token).Session.StaffID
	if _, err := tx.Exec(t.Context(), `SELECT FROM staff WHERE id = $1 FOR UPDATE`, id); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, _, err := o.EndByIssuer(t.Context(), grant.Logout{
			Issuer: "https://login.example", Subject: "1", Session: "s1", ID: "j1", Ends: time.Now().Add(time.Minute),
		}, access.Origin{})
		done <- err
	}()
	waittest.Until(t, "the logout waits for the account", func() bool {
		var waits bool
		if err := o.db.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`).Scan(&waits); err != nil {
			t.Fatal(err)
		}
		return waits
	})
	if _, err := tx.Exec(t.Context(), `SELECT FROM staff_sessions WHERE staff_id = $1 FOR UPDATE NOWAIT`, id); err != nil {
		t.Errorf("the sessions are locked already: %v", err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("the logout: %v", err)
	}
}
