package grant_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/account"
)

var wrong = secret.New("wrong horse battery")

func (o office) audited(act access.Act) (whys []string) {
	o.t.Helper()
	rows, err := o.db.Query(o.t.Context(), `SELECT why FROM audit WHERE act = $1 AND target = $2 ORDER BY id`, string(act), o.sam.String())
	if err != nil {
		o.t.Fatal(err)
	}
	if whys, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		o.t.Fatal(err)
	}
	return whys
}

// ASVS 6.3.3 and 6.3.4: an emergency account has no session without its second
// factor, by any way in, and the first sign-in sets it up.
func TestAPasswordAloneOpensNothing(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	first, err := o.CheckPassword(t.Context(), login, password, grant.Browser{})
	if err != nil || first.Setup == nil {
		t.Fatalf("the first right password: %+v, %v", first.Setup, err)
	}
	address := first.Setup.Address.Reveal()
	if !strings.HasPrefix(address, "otpauth://totp/Connect%20Link:sam@northwind.example?") || !strings.Contains(address, "issuer=Connect%20Link") ||
		!strings.Contains(address, "secret="+first.Setup.Secret.Reveal()) {
		t.Error("the address for the QR code is not of the form that apps read")
	}
	if _, ok, err := o.Session(t.Context(), first.Token); ok || err != nil {
		t.Errorf("the ticket is a session: %t, %v", ok, err)
	}
	if _, err := o.Finish(t.Context(), first.Token, secret.New("000000"), grant.Browser{}); !errors.Is(err, grant.ErrCode) {
		t.Errorf("a wrong code at the set-up: %v", err)
	}
	*o.app = first.Setup.Secret.Reveal()
	in, err := o.Finish(t.Context(), first.Token, o.code(0), grant.Browser{})
	if err != nil || len(in.Recovery) != 10 {
		t.Fatalf("%d recovery codes, %v", len(in.Recovery), err)
	}
	var stored string
	if err := o.db.QueryRow(t.Context(), `SELECT encode(secret, 'escape') || (SELECT string_agg(encode(digest, 'escape'), '') FROM staff_recovery_codes) FROM staff_totp`).Scan(&stored); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(stored, *o.app) || strings.Contains(stored, in.Recovery[0].Reveal()) || strings.Contains(stored, strings.ReplaceAll(in.Recovery[0].Reveal(), "-", "")) {
		t.Error("the secret or a recovery code is stored in clear")
	}
	// Another browser that got the same password before: its set-up is past.
	if _, err := o.Finish(t.Context(), first.Token, o.taken(), grant.Browser{}); !errors.Is(err, grant.ErrCode) {
		t.Errorf("the set-up again, with the code that was used: %v", err)
	}
	next, err := o.CheckPassword(t.Context(), login, password, grant.Browser{})
	if err != nil || next.Setup != nil {
		t.Errorf("the second time the app is set up again: %v", err)
	}
	for name, ticket := range map[string]secret.Text{"no ticket": {}, "a forged one": secret.New("AAAA"), "a session's token": in.Token, "a device's cookie": in.Known} {
		if _, err := o.Finish(t.Context(), ticket, o.code(1), grant.Browser{}); !errors.Is(err, grant.ErrTicket) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(o.audited(grant.ActFactorSet)); n != 1 {
		t.Errorf("the audit log has %d set-ups", n)
	}
}

// ASVS 6.5.1: codes of the app and recovery codes work once.
func TestACodeWorksOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	in, err := o.try(password, grant.Browser{})
	if err != nil {
		t.Fatal(err)
	}
	finish := func(code secret.Text) error {
		t.Helper()
		ticket, err := o.CheckPassword(t.Context(), login, password, grant.Browser{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = o.Finish(t.Context(), ticket.Token, code, grant.Browser{})
		return err
	}
	next := o.code(1) // of the app's clock, which may be half a minute ahead
	for i, c := range []struct {
		code secret.Text
		want error
	}{
		{o.taken(), grant.ErrCode}, {next, nil}, {next, grant.ErrCode}, {o.code(-1), grant.ErrCode},
		{in.Recovery[3], nil}, {in.Recovery[3], grant.ErrCode}, {next, grant.ErrCode},
		{secret.New(strings.ToLower(strings.ReplaceAll(in.Recovery[4].Reveal(), "-", " "))), nil},
		{secret.New(""), grant.ErrCode},
	} {
		if err := finish(c.code); !errors.Is(err, c.want) {
			t.Errorf("%d: %v, want %v", i, err, c.want)
		}
	}
	if n := len(o.audited(grant.ActRecoveryUsed)); n != 2 {
		t.Errorf("the audit log has %d recovery codes", n)
	}
	// Twins: of one code, one.
	o.exec(`UPDATE staff_totp SET last_step = 0`)
	code, outcomes := o.code(0), make(chan error, 6)
	ticket, err := o.CheckPassword(t.Context(), login, password, grant.Browser{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range cap(outcomes) {
		go func() {
			_, err := o.Finish(t.Context(), ticket.Token, code, grant.Browser{Client: fmt.Sprint(i)})
			outcomes <- err
		}()
	}
	taken := 0
	for range cap(outcomes) {
		if err := <-outcomes; err == nil {
			taken++
		}
	}
	if taken != 1 {
		t.Errorf("one code signed in %d times at once", taken)
	}
}

// Only a person with the password can guess codes, and five are few of a million,
// from however many addresses.
func TestGuessedCodesLockTheSecondFactor(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	in, err := o.try(password, grant.Browser{})
	if err != nil {
		t.Fatal(err)
	}
	o.exec(`UPDATE staff_totp SET last_step = 0`)
	for i := range 7 {
		b := grant.Browser{Client: fmt.Sprint("192.0.2.", i)}
		ticket, err := o.CheckPassword(t.Context(), login, password, b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = o.Finish(t.Context(), ticket.Token, secret.New("no code"), b); i < 5 && !errors.Is(err, grant.ErrCode) || i >= 5 && !isLocked(err) {
			t.Errorf("guess %d: %v", i, err)
		}
	}
	list, err := o.List(t.Context())
	if err != nil || list[0].LockedUntil == nil {
		t.Errorf("the list does not show the lock, %v", err)
	}
	o.exec(`UPDATE staff_totp SET locked_until = now()`)
	if s := o.session(in.Token); s.Session.Ended != "" {
		t.Errorf("the lock ended a session: %q", s.Session.Ended)
	}
	if _, err := o.try(password, grant.Browser{}); err != nil {
		t.Errorf("after the lock: %v", err)
	}
}

// Security F10: five wrong passwords of anybody locked the account's owner out. A
// lock is of a device that signed in before, or of an address and a login.
func TestF10AnOutsiderLocksNobodyOut(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	in, err := o.try(password, grant.Browser{Client: "198.51.100.7"})
	if err != nil {
		t.Fatal(err)
	}
	desk := grant.Browser{Client: "198.51.100.7", Known: in.Known}
	outside := func(client string, known secret.Text) grant.Browser {
		return grant.Browser{Client: client, Known: known}
	}
	guess := func(who secret.Text, b grant.Browser, times int) (last error) {
		t.Helper()
		for range times {
			_, last = o.CheckPassword(t.Context(), who, wrong, b)
		}
		return last
	}
	// From the same address, without its cookie, and with cookies that are none.
	other, err := o.Create(t.Context(), operating, grant.NewAccount{Login: secret.New("ada@northwind.example"), Name: "Ada", Password: secret.New("staple battery horse"), Roles: nil})
	if err != nil {
		t.Fatal(err)
	}
	_ = other
	for name, b := range map[string]grant.Browser{
		"another address": outside("203.0.113.9", secret.Text{}), "the owner's address": outside("198.51.100.7", secret.Text{}),
		"a forged device": outside("203.0.113.10", secret.New("AAAA")), "a ticket for a device": outside("203.0.113.11", in.Token),
	} {
		if err := guess(login, b, 4); !errors.Is(err, grant.ErrRefused) {
			t.Errorf("%s, the fourth: %v", name, err)
		}
		if err := guess(login, b, 2); !isLocked(err) {
			t.Errorf("%s, the sixth: %v", name, err)
		}
		if _, err := o.CheckPassword(t.Context(), login, password, b); !isLocked(err) {
			t.Errorf("%s, the right one: %v", name, err)
		}
	}
	if _, err := o.try(password, desk); err != nil {
		t.Errorf("the owner's known device: %v", err)
	}
	if _, err := o.try(password, outside("192.0.2.77", secret.Text{})); err != nil {
		t.Errorf("a new device from elsewhere: %v", err)
	}
	// Of another account's login the same device is a stranger.
	if err := guess(secret.New("ada@northwind.example"), desk, 6); !isLocked(err) {
		t.Errorf("another's login: %v", err)
	}
	if _, err := o.try(password, desk); err != nil {
		t.Errorf("the owner afterwards: %v", err)
	}
	// A known device that guesses is locked itself, and nobody else is.
	if err := guess(login, desk, 6); !isLocked(err) {
		t.Errorf("the known device: %v", err)
	}
	if _, err := o.try(password, outside("192.0.2.78", secret.Text{})); err != nil {
		t.Errorf("another device meanwhile: %v", err)
	}
	// An unknown login is locked as a known one is, so a lock tells nothing.
	nobody := secret.New("nobody@northwind.example")
	for i := range 6 {
		if err := guess(nobody, outside("203.0.113.50", secret.Text{}), 1); i < 5 && !errors.Is(err, grant.ErrRefused) || i == 5 && !isLocked(err) {
			t.Errorf("an unknown login, %d: %v", i, err)
		}
	}
	if diff := cmp.Diff("password", o.audited(grant.ActSignInFailed)[0]); diff != "" {
		t.Error(diff)
	}
}

func TestLocksGrowAndFailuresAreForgotten(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	b := grant.Browser{Client: "203.0.113.9"}
	var lengths []string
	for range 14 {
		for { // until the lock, and past it
			_, err := o.CheckPassword(t.Context(), login, wrong, b)
			var locked *grant.LockedError
			if errors.As(err, &locked) {
				lengths = append(lengths, locked.For.Round(30*time.Second).String())
				break
			}
		}
		o.exec(`UPDATE sign_in_failures SET locked_until = now()`)
	}
	want := []string{"30s", "1m0s", "2m0s", "4m0s", "8m0s", "16m0s", "32m0s", "1h0m0s", "1h0m0s", "1h0m0s", "1h0m0s", "1h0m0s", "1h0m0s", "1h0m0s"}
	if diff := cmp.Diff(want, lengths); diff != "" {
		t.Error(diff)
	}
	if _, err := o.try(password, b); err != nil {
		t.Fatal(err)
	}
	count := func() (n int) {
		if err := o.db.QueryRow(t.Context(), `SELECT count(*) FROM sign_in_failures`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(); n != 0 {
		t.Errorf("after a sign-in %d rows are left", n)
	}
	// Rows of strangers go faster than they can come.
	o.exec(`INSERT INTO sign_in_failures (tried_by, failures, updated_at) SELECT sha256(i::text::bytea), 1, now() - interval '121 minutes' FROM generate_series(1, 250) i`)
	for range 3 {
		_, _ = o.CheckPassword(t.Context(), login, wrong, b)
	}
	if n := count(); n != 1 {
		t.Errorf("%d rows are left", n)
	}
}

func TestAResetSecondFactorIsSetUpAnew(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	in, err := o.try(password, grant.Browser{})
	if err != nil {
		t.Fatal(err)
	}
	ticket, err := o.CheckPassword(t.Context(), login, password, grant.Browser{})
	if err != nil {
		t.Fatal(err)
	}
	if found, had, err := o.ResetFactor(t.Context(), operating, login); !found || !had || err != nil {
		t.Fatalf("reset: %t, %t, %v", found, had, err)
	}
	if s := o.session(in.Token); s.Session.Ended != account.EndedRevoked {
		t.Errorf("the session stands as %q", s.Session.Ended)
	}
	if _, err := o.Finish(t.Context(), ticket.Token, o.code(1), grant.Browser{}); !errors.Is(err, grant.ErrTicket) {
		t.Errorf("a sign-in that the reset overtook: %v", err)
	}
	old := *o.app
	o.signIn(password)
	if *o.app == old {
		t.Error("the secret is the same")
	}
	if found, had, err := o.ResetFactor(t.Context(), operating, secret.New("nobody@northwind.example")); found || had || err != nil {
		t.Errorf("nobody's: %t, %t, %v", found, had, err)
	}
	if n := len(o.audited(grant.ActFactorReset)); n != 1 {
		t.Errorf("the audit log has %d resets", n)
	}
}

// ASVS 7.5.1 and 7.5.2: the proof is password and code, of this person, and lasts
// five minutes.
func TestAnIdentityIsConfirmedByBothFactors(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	token := o.signIn(password)
	if !o.session(token).Session.Fresh {
		t.Error("a sign-in is no proof")
	}
	o.exec(`UPDATE staff_sessions SET created_at = now() - interval '301 seconds'`)
	if o.session(token).Session.Fresh {
		t.Error("a sign-in is proof for more than five minutes")
	}
	o.exec(`UPDATE staff_totp SET last_step = 0`)
	code := o.code(0) // once: half a minute may end meanwhile
	for i, c := range []struct {
		password, code secret.Text
		want           error
	}{
		{wrong, code, grant.ErrRefused}, {password, secret.New("123"), grant.ErrCode}, {password, secret.Text{}, grant.ErrCode}, {password, code, nil},
	} {
		if err := o.Confirm(t.Context(), o.session(token), c.password, c.code, grant.Browser{}); !errors.Is(err, c.want) {
			t.Errorf("%d: %v, want %v", i, err, c.want)
		}
		if fresh := o.session(token).Session.Fresh; fresh != (c.want == nil) {
			t.Errorf("%d: fresh %t", i, fresh)
		}
	}
	if err := o.Confirm(t.Context(), o.session(token), password, code, grant.Browser{}); !errors.Is(err, grant.ErrCode) {
		t.Errorf("the code again: %v", err)
	}
}

func ada(roles map[string]access.Role, sid string) grant.Identity {
	return grant.Identity{Issuer: "https://login.example", Subject: "1", Session: sid, Person: grant.Person{Name: "Ada"}, Roles: roles}
}

// ASVS 7.6.1: a session lasts five minutes beyond the issuer's word for it, and goes
// on with a new one.
func TestTheIssuerVouchesForASessionEveryFiveMinutes(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	roles := map[string]access.Role{"acme": access.RoleAdmin}
	token, err := o.SignInWithOIDC(t.Context(), ada(roles, "s1"), grant.Browser{})
	if err != nil {
		t.Fatal(err)
	}
	age := func(seconds int) account.Session {
		t.Helper()
		o.exec(`UPDATE staff_sessions SET created_at = now() - interval '1 hour', checked_at = now() - make_interval(secs => $1)`, seconds)
		return o.session(token).Session
	}
	for seconds, want := range map[int]account.Session{10: {}, 200: {Due: true}, 301: {Due: true, Ended: account.EndedConfirm}} {
		if got := age(seconds); got.Due != want.Due || got.Ended != want.Ended || got.Stored {
			t.Errorf("after %d s: due %t, ended %q, stored %t", seconds, got.Due, got.Ended, got.Stored)
		}
	}
	stranger := ada(roles, "s1")
	stranger.Subject = "2"
	if err := o.Vouch(t.Context(), o.session(token), stranger, grant.Browser{}); !errors.Is(err, grant.ErrOtherPerson) {
		t.Errorf("another person: %v", err)
	}
	if err := o.Vouch(t.Context(), o.session(token), ada(map[string]access.Role{"acme": access.RoleViewer}, "s1"), grant.Browser{}); err != nil {
		t.Fatal(err)
	}
	if s := o.session(token); s.Session.Ended != "" || s.Session.Due || s.Role("acme") != access.RoleViewer || s.Session.Fresh {
		t.Errorf("vouched for: %+v with %v", s.Session, s.Roles)
	}
	again := ada(roles, "s1")
	again.AuthenticatedAt = time.Now()
	if err := o.ConfirmByIssuer(t.Context(), o.session(token), again, grant.Browser{}); err != nil || !o.session(token).Session.Fresh {
		t.Errorf("confirmed: %v", err)
	}
	if err := o.Vouch(t.Context(), o.session(token), ada(nil, "s1"), grant.Browser{}); !errors.Is(err, grant.ErrNoRole) {
		t.Errorf("without a role: %v", err)
	}
	if s := o.session(token); s.Session.Ended != account.EndedConfirm || !s.Session.Stored || s.Role("acme") != "" {
		t.Errorf("without a role the session stands as %q with %v", s.Session.Ended, s.Roles)
	}
	if err := o.Vouch(t.Context(), o.session(token), ada(roles, "s1"), grant.Browser{}); err == nil || o.session(token).Session.Ended == "" {
		t.Errorf("an ended session goes on: %v", err)
	}
}

// Single sign-on answers without a page where the person is still signed in at the
// issuer: the proof of identity is as old as that sign-in.
func TestSignInByIssuerIsFreshOnlyWhenThePersonSignedInThereLately(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	roles := map[string]access.Role{"acme": access.RoleAdmin}
	for name, c := range map[string]struct {
		at    time.Time
		fresh bool
	}{
		"a minute ago": {time.Now().Add(-time.Minute), true}, "an hour ago": {time.Now().Add(-time.Hour), false},
		"not told": {time.Time{}, false}, "by a clock that is ahead": {time.Now().Add(time.Minute), true},
	} {
		who := ada(roles, "s1")
		who.AuthenticatedAt = c.at
		token, err := o.SignInWithOIDC(t.Context(), who, grant.Browser{})
		if err != nil {
			t.Fatal(err)
		}
		s := o.session(token)
		if s.Session.Fresh != c.fresh || s.Session.Ended != "" {
			t.Errorf("%s: fresh %t, ended %q", name, s.Session.Fresh, s.Session.Ended)
		}
	}
	var ahead int
	if err := o.db.QueryRow(t.Context(), `SELECT count(*) FROM staff_sessions WHERE confirmed_at > now()`).Scan(&ahead); err != nil || ahead != 0 {
		t.Errorf("%d sessions are confirmed in the future, %v", ahead, err)
	}
}

func TestConfirmationByIssuerIsAsOldAsTheSignInThere(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	who := ada(map[string]access.Role{"acme": access.RoleAdmin}, "s1")
	token, err := o.SignInWithOIDC(t.Context(), who, grant.Browser{})
	if err != nil {
		t.Fatal(err)
	}
	if err := o.ConfirmByIssuer(t.Context(), o.session(token), who, grant.Browser{}); !errors.Is(err, grant.ErrNoProof) {
		t.Errorf("without a time: %v", err)
	}
	for age, fresh := range map[time.Duration]bool{6 * time.Minute: false, 4 * time.Minute: true} {
		who.AuthenticatedAt = time.Now().Add(-age)
		if err := o.ConfirmByIssuer(t.Context(), o.session(token), who, grant.Browser{}); err != nil || o.session(token).Session.Fresh != fresh {
			t.Errorf("%s old: fresh %t, %v", age, !fresh, err)
		}
	}
}

func TestALogoutAtTheIssuerEndsWhatItNames(t *testing.T) {
	t.Parallel()
	roles := map[string]access.Role{"acme": access.RoleAgent}
	for name, c := range map[string]struct {
		logout grant.Logout
		ended  []bool // of the sessions s1, s2, one without a name, and another person's
	}{
		"a session":                      {grant.Logout{Session: "s1"}, []bool{true, false, false, false}},
		"a person":                       {grant.Logout{Subject: "1"}, []bool{true, true, true, false}},
		"a session and its person":       {grant.Logout{Subject: "1", Session: "s2"}, []bool{false, true, true, false}},
		"an unknown session":             {grant.Logout{Session: "s9"}, []bool{false, false, false, false}},
		"an unknown person":              {grant.Logout{Subject: "9"}, []bool{false, false, false, false}},
		"a session of another issuer":    {grant.Logout{Issuer: "https://other.example", Session: "s1"}, []bool{false, false, false, false}},
		"a person of another issuer":     {grant.Logout{Issuer: "https://other.example", Subject: "1"}, []bool{false, false, false, false}},
		"the other person, by a session": {grant.Logout{Session: "t1"}, []bool{false, false, false, true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			other := ada(roles, "t1")
			other.Subject = "2"
			var tokens []secret.Text
			for _, who := range []grant.Identity{ada(roles, "s1"), ada(roles, "s2"), ada(roles, ""), other} {
				token, err := o.SignInWithOIDC(t.Context(), who, grant.Browser{})
				if err != nil {
					t.Fatal(err)
				}
				tokens = append(tokens, token)
			}
			l := c.logout
			l.ID, l.Ends = "j1", time.Now().Add(2*time.Minute)
			if l.Issuer == "" {
				l.Issuer = "https://login.example"
			}
			ended, first, err := o.EndByIssuer(t.Context(), l, access.Origin{})
			want := 0
			for i, token := range tokens {
				s := o.session(token).Session
				if (s.Ended == account.EndedIssuer) != c.ended[i] || !c.ended[i] && s.Ended != "" {
					t.Errorf("session %d stands as %q", i, s.Ended)
				}
				if c.ended[i] {
					want++
				}
			}
			if err != nil || !first || ended != want {
				t.Errorf("%d ended, first %t, %v", ended, first, err)
			}
			if ended, first, err := o.EndByIssuer(t.Context(), l, access.Origin{}); ended != 0 || first || err != nil {
				t.Errorf("again: %d, %t, %v", ended, first, err)
			}
			var entries int
			if err := o.db.QueryRow(t.Context(), `SELECT count(*) FROM audit WHERE act = 'session_ended'`).Scan(&entries); err != nil || entries != want {
				t.Errorf("%d entries in the audit log, %v", entries, err)
			}
		})
	}
}

func TestAFlowIsUsedOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for i, want := range []bool{true, false} {
		if ok, err := o.UseFlow(t.Context(), "state", time.Minute); ok != want || err != nil {
			t.Errorf("%d: %t, %v", i, ok, err)
		}
	}
	// Expired rows go faster than they come, and a bounded number at a time.
	o.exec(`UPDATE single_uses SET expires_at = now() - interval '1 second'`)
	o.exec(`INSERT INTO single_uses (digest, expires_at) SELECT sha256(i::text::bytea), now() - interval '1 minute' FROM generate_series(1, 149) i`)
	for i, want := range []int{51, 2} {
		if ok, err := o.UseFlow(t.Context(), fmt.Sprint("another", i), time.Minute); !ok || err != nil {
			t.Errorf("another: %t, %v", ok, err)
		}
		var n int
		if err := o.db.QueryRow(t.Context(), `SELECT count(*) FROM single_uses`).Scan(&n); err != nil || n != want {
			t.Errorf("%d rows are left, want %d, %v", n, want, err)
		}
	}
}

func TestAHeldFormGoesWithItsSession(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	token := o.signIn(password)
	id := o.session(token).Session.ID
	if _, ok, err := o.HeldForm(t.Context(), id); ok || err != nil {
		t.Errorf("before: %t, %v", ok, err)
	}
	hold := func() {
		t.Helper()
		if err := o.HoldForm(t.Context(), id, []byte("sealed")); err != nil {
			t.Fatal(err)
		}
		if got, ok, err := o.HeldForm(t.Context(), id); string(got) != "sealed" || !ok || err != nil || !o.session(token).Session.Held {
			t.Errorf("held: %q, %t, %v", got, ok, err)
		}
	}
	hold()
	if err := o.DropForm(t.Context(), id); err != nil || o.session(token).Session.Held {
		t.Errorf("dropped: %v", err)
	}
	hold()
	if _, err := o.EndSession(t.Context(), access.Staff(o.sam.String(), "", invite.Place{}), id); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := o.HeldForm(t.Context(), id); ok || err != nil {
		t.Errorf("after the session: %t, %v", ok, err)
	}
}
