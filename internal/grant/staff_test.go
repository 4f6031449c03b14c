package grant_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pquerna/otp/totp"
	"golang.org/x/crypto/argon2"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/account"
)

// office is staff with one emergency account in it.
type office struct {
	*grant.Staff
	t   *testing.T
	db  *pgxpool.Pool
	key *seal.Keyset
	sam invite.StaffID
	app *string // the secret in Sam's authenticator app
}

var (
	login     = secret.New("sam@northwind.example")
	password  = secret.New("correct horse battery")
	operating = access.Principal{Kind: access.KindSystem}
)

func newOffice(t *testing.T) office {
	t.Helper()
	keyset, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	box, err := seal.NewBox(keyset)
	if err != nil {
		t.Fatal(err)
	}
	db := postgrestest.Pool(t)
	s := grant.NewStaff(db, box)
	id, err := s.Create(t.Context(), operating, grant.NewAccount{Login: login, Name: "Sam", Password: password, Roles: map[string]access.Role{"acme": access.RoleLead}})
	if err != nil {
		t.Fatal(err)
	}
	return office{s, t, db, keyset, id, new(string)}
}

func (o office) signIn(with secret.Text) secret.Text {
	o.t.Helper()
	in, err := o.try(with, grant.Browser{Device: "Firefox on Linux"})
	if err != nil {
		o.t.Fatal(err)
	}
	return in.Token
}

// try signs Sam in by a password and the code of the authenticator app, which the
// first time sets up.
func (o office) try(with secret.Text, b grant.Browser) (grant.SignedIn, error) {
	o.t.Helper()
	ticket, err := o.CheckPassword(o.t.Context(), login, with, b)
	if err != nil {
		return grant.SignedIn{}, err
	}
	if ticket.Setup != nil {
		*o.app = ticket.Setup.Secret.Reveal()
	} else { // a code is taken once, and these tests sign in several times in its 30 s
		o.exec(`UPDATE staff_totp SET last_step = 0`)
	}
	return o.Finish(o.t.Context(), ticket.Token, o.code(0), b)
}

// code is what the authenticator app shows, some steps of 30 s from now.
func (o office) code(steps int) secret.Text {
	o.t.Helper()
	return o.codeOf(`SELECT now()`, steps)
}

// taken is the code that was taken last: the next step may have begun since.
func (o office) taken() secret.Text {
	o.t.Helper()
	return o.codeOf(`SELECT to_timestamp(30 * last_step) FROM staff_totp`, 0)
}

func (o office) codeOf(moment string, steps int) secret.Text {
	o.t.Helper()
	var at time.Time
	if err := o.db.QueryRow(o.t.Context(), moment).Scan(&at); err != nil {
		o.t.Fatal(err)
	}
	code, err := totp.GenerateCode(*o.app, at.Add(time.Duration(steps)*30*time.Second))
	if err != nil {
		o.t.Fatal(err)
	}
	return secret.New(code)
}

func (o office) exec(sql string, args ...any) {
	o.t.Helper()
	if _, err := o.db.Exec(o.t.Context(), sql, args...); err != nil {
		o.t.Fatal(err)
	}
}

func isLocked(err error) bool {
	var locked *grant.LockedError
	return errors.As(err, &locked)
}

func (o office) session(token secret.Text) grant.Signed {
	o.t.Helper()
	s, ok, err := o.Session(o.t.Context(), token)
	if err != nil || !ok {
		o.t.Fatalf("session: %t, %v", ok, err)
	}
	return s
}

func TestADisabledAccountHasNoSessionAndGetsNone(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	token := o.signIn(password)
	for i, want := range []bool{true, false} {
		if changed, err := o.SetDisabled(t.Context(), operating, o.sam, true); err != nil || changed != want {
			t.Errorf("disabled %d: %t, %v", i, changed, err)
		}
	}
	if s := o.session(token); s.Session.Ended != account.EndedDisabled {
		t.Errorf("the session stands as %q", s.Session.Ended)
	}
	if _, err := o.try(password, grant.Browser{}); !errors.Is(err, grant.ErrDisabled) {
		t.Errorf("a sign-in afterwards: %v", err)
	}
	if _, err := o.SetDisabled(t.Context(), operating, o.sam, false); err != nil {
		t.Fatal(err)
	}
	if s := o.session(token); s.Session.Ended != account.EndedDisabled {
		t.Errorf("enabling the account brought its session back: %q", s.Session.Ended)
	}
	own := access.Staff(o.sam.String(), access.RoleAdmin, invite.Place{Project: "acme"})
	if _, err := o.SetDisabled(t.Context(), own, o.sam, true); !errors.Is(err, grant.ErrOwnAccount) {
		t.Errorf("one's own account: %v", err)
	}
	if _, err := o.SetDisabled(t.Context(), operating, invite.New[invite.StaffID](), true); !errors.Is(err, account.ErrNotFound) {
		t.Errorf("nobody's account: %v", err)
	}
}

func TestANewPasswordEndsWhatTheOldOneOpened(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	token := o.signIn(password)
	next := secret.New("another horse battery")
	if found, err := o.SetPassword(t.Context(), operating, login, next); err != nil || !found {
		t.Fatalf("set: %t, %v", found, err)
	}
	if s := o.session(token); s.Session.Ended != account.EndedRevoked {
		t.Errorf("the old session stands as %q", s.Session.Ended)
	}
	if _, err := o.try(password, grant.Browser{}); !errors.Is(err, grant.ErrRefused) {
		t.Errorf("the old password: %v", err)
	}
	if s := o.session(o.signIn(next)); s.Session.Ended != "" || s.Person.Name != "Sam" {
		t.Errorf("the new session: %+v", s.Session)
	}
	if found, err := o.SetPassword(t.Context(), operating, secret.New("nobody@northwind.example"), next); err != nil || found {
		t.Errorf("nobody's password: %t, %v", found, err)
	}
	if _, err := o.SetPassword(t.Context(), operating, login, secret.New("short")); !errors.Is(err, grant.ErrPasswordLength) {
		t.Errorf("a short one: %v", err)
	}
}

// ASVS 6.2.4 and 6.2.12: common passwords are refused at creation and change,
// and so are those that are long by repetition.
func TestCommonPasswordsAreRefusedAtCreationAndChange(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for _, easy := range []string{
		"123456789012345", "passwordpassword", "password1234567", "qwertyuiopasdfgh", "aaaaaaaaaaaaaaaa", "abcdefghijklmnop", "iloveyou1234567",
		"letmeinletmein123", "1qaz2wsx3edc4rfv", "Password123456!", "changemechangeme", "adminadminadmin1", "december20252025", "P@ssw0rdP@ssw0rd",
		"sam@northwind.example", "northwindnorthwind", "connectlinkconnectlink",
	} {
		_, err := o.Create(t.Context(), operating, grant.NewAccount{Login: login, Name: "Sam", Password: secret.New(easy)})
		if !errors.Is(err, grant.ErrPasswordCommon) {
			t.Errorf("created with %q: %v", easy, err)
		}
		if _, err := o.SetPassword(t.Context(), operating, login, secret.New(easy)); !errors.Is(err, grant.ErrPasswordCommon) {
			t.Errorf("changed to %q: %v", easy, err)
		}
	}
	for _, good := range []string{"correcthorsebatterystaple", "korrekt pferd batterie", "J8s-kq2!xPz.lw0m", "тихая река у старого дома"} {
		if found, err := o.SetPassword(t.Context(), operating, login, secret.New(good)); err != nil || !found {
			t.Errorf("%q: %t, %v", good, found, err)
		}
	}
}

func TestRolesCountFromTheNextRequestOn(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	token := o.signIn(password)
	if err := o.SetRoles(t.Context(), operating, o.sam, map[string]access.Role{"beta": access.RoleViewer}); err != nil {
		t.Fatal(err)
	}
	if s := o.session(token); s.Role("acme") != "" || s.Role("beta") != access.RoleViewer {
		t.Errorf("roles %v", s.Roles)
	}
	if err := o.SetRoles(t.Context(), operating, invite.New[invite.StaffID](), nil); !errors.Is(err, account.ErrNotFound) {
		t.Errorf("nobody's roles: %v", err)
	}
	who := grant.Identity{
		Issuer: "https://login.example", Subject: "1", Person: grant.Person{Name: "Ada"},
		Roles: map[string]access.Role{"acme": access.RoleAgent},
	}
	signed, err := o.SignInWithOIDC(t.Context(), who, grant.Browser{})
	if err != nil {
		t.Fatal(err)
	}
	ada := o.session(signed)
	if err := o.SetRoles(t.Context(), operating, ada.Staff.ID, map[string]access.Role{"acme": access.RoleAdmin}); !errors.Is(err, grant.ErrNotLocal) {
		t.Errorf("an issuer's person: %v", err)
	}
	if s := o.session(signed); s.Role("acme") != access.RoleAgent {
		t.Errorf("an issuer's person has roles %v", s.Roles)
	}
}

// Comparing takes long, and once every try that began before the lock was
// compared: many at once were as many guesses.
func TestBugGuessesMadeAtOnceAreNoMoreThanOneByOne(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	const tries = 12
	outcomes := make(chan error, tries)
	for i := range tries {
		go func() {
			_, err := o.try(secret.New(fmt.Sprint("wrong horse battery ", i)), grant.Browser{})
			outcomes <- err
		}()
	}
	refused, locked := 0, 0
	for range tries {
		switch err := <-outcomes; {
		case errors.Is(err, grant.ErrRefused):
			refused++
		case isLocked(err):
			locked++
		default:
			t.Error(err)
		}
	}
	if refused != 5 || locked != tries-5 {
		t.Errorf("%d of %d guesses were answered, %d met the lock", refused, tries, locked)
	}
}

// Once, a sign-in that was being checked while the password was replaced got its
// session after all the old one's were ended.
func TestBugASignInThatANewPasswordOvertakesIsRefused(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.signIn(password) // which sets the authenticator app up
	for round := range 4 {
		old, next := secret.New(fmt.Sprint("correct horse battery ", round)), secret.New(fmt.Sprint("correct horse battery ", round+1))
		if _, err := o.SetPassword(t.Context(), operating, login, old); err != nil {
			t.Fatal(err)
		}
		signIns := make(chan secret.Text, 6)
		for range 6 {
			go func() {
				in, err := o.try(old, grant.Browser{})
				if err != nil && !errors.Is(err, grant.ErrRefused) && !errors.Is(err, grant.ErrTicket) && !errors.Is(err, grant.ErrCode) && !isLocked(err) {
					t.Error(err)
				}
				signIns <- in.Token
			}()
		}
		if _, err := o.SetPassword(t.Context(), operating, login, next); err != nil {
			t.Fatal(err)
		}
		for range 6 {
			if token := <-signIns; !token.IsZero() && o.session(token).Session.Ended == "" {
				t.Error("a session of the old password outlives it")
			}
		}
	}
}

// Once, whom the issuer let in without a role was turned away at the door, and
// went on with the old one in every browser that was open already; and nothing
// recorded that a role had come or gone.
func TestBugARoleThatTheIssuerTookAwayIsGoneEverywhere(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	roles := func(r access.Role) map[string]access.Role { return map[string]access.Role{"acme": r} }
	who := grant.Identity{Issuer: "https://login.example", Subject: "1", Person: grant.Person{Name: "Ada"}, Roles: roles(access.RoleAdmin)}
	open, err := o.SignInWithOIDC(t.Context(), who, grant.Browser{})
	if err != nil {
		t.Fatal(err)
	}
	for _, next := range []map[string]access.Role{roles(access.RoleAdmin), roles(access.RoleLead), nil, nil} {
		who.Roles = next
		if _, err := o.SignInWithOIDC(t.Context(), who, grant.Browser{}); (err != nil) != (next == nil) || err != nil && !errors.Is(err, grant.ErrNoRole) {
			t.Fatalf("signing in with %v: %v", next, err)
		}
		if got := o.session(open).Role("acme"); got != next["acme"] {
			t.Errorf("with %v at the issuer the earlier session has %q", next, got)
		}
	}
	rows, err := o.db.Query(t.Context(), `SELECT coalesce(data ->> 'role:acme', '') FROM audit WHERE act = 'staff_roles' ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	log, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if diff := cmp.Diff([]string{"lead", ""}, log); diff != "" || err != nil {
		t.Errorf("the audit log has the changes %v, %v", log, err)
	}
	stranger := grant.Identity{Issuer: "https://login.example", Subject: "2"}
	if _, err := o.SignInWithOIDC(t.Context(), stranger, grant.Browser{}); !errors.Is(err, grant.ErrNoRole) {
		t.Errorf("a stranger without a role: %v", err)
	}
}

// with is the same office after a change of keys.
func (o office) with(key *seal.Keyset, err error) office {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
	box, err := seal.NewBox(key)
	if err != nil {
		o.t.Fatal(err)
	}
	o.Staff, o.key = grant.NewStaff(o.db, box), key
	return o
}

// Accounts live long, and once each hung on the key it was made with: a retired
// one took the emergency account with it, and every page that lists people.
func TestBugARetiredKeyTakesNobodyAlong(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	lost, err := o.SignInWithOIDC(t.Context(), grant.Identity{
		Issuer: "https://login.example", Subject: "1", Person: grant.Person{Name: "Ada"}, Roles: map[string]access.Role{"acme": access.RoleAgent},
	}, grant.Browser{})
	if err != nil {
		t.Fatal(err)
	}
	rotated := o.with(o.key.Rotate())
	rotated.signIn(password) // which brings the account to the new key
	retired := rotated.with(rotated.key.Retire())
	if s := retired.session(retired.signIn(password)); s.Person.Name != "Sam" || s.Person.Email != "sam@northwind.example" {
		t.Errorf("after the old key was retired Sam is %+v", s.Person)
	}
	if s := retired.session(lost); s.Person != (grant.Person{}) || s.Role("acme") != access.RoleAgent {
		t.Errorf("whose profile no key opens is %+v with %v", s.Person, s.Roles)
	}
	list, err := retired.List(t.Context())
	if err != nil || len(list) != 2 {
		t.Errorf("the list has %d, %v", len(list), err)
	}
}

// oldPassword is "correct horse battery" with the parameters of the first version.
func oldPassword() string {
	salt := []byte("sixteen bytes ok")
	key := argon2.IDKey([]byte(password.Reveal()), salt, 3, 64<<10, 4, 32)
	return "$argon2id$v=19$m=65536,t=3,p=4$" + base64.RawStdEncoding.EncodeToString(salt) + "$" + base64.RawStdEncoding.EncodeToString(key)
}

func TestSignInBringsAnOldPasswordHashToTodaysParameters(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	if _, err := o.db.Exec(t.Context(), `UPDATE staff SET password = $2 WHERE id = $1`, o.sam, oldPassword()); err != nil {
		t.Fatal(err)
	}
	stored := func() (phc string) {
		if err := o.db.QueryRow(t.Context(), `SELECT password FROM staff WHERE id = $1`, o.sam).Scan(&phc); err != nil {
			t.Fatal(err)
		}
		return phc
	}
	if _, err := o.try(secret.New("not this one at all"), grant.Browser{}); !errors.Is(err, grant.ErrRefused) {
		t.Fatalf("a wrong password: %v", err)
	}
	if got := stored(); got != oldPassword() {
		t.Errorf("a wrong password changed the hash: %s", got)
	}
	o.signIn(password)
	const today = "$argon2id$v=19$m=19456,t=2,p=1$"
	if got := stored(); !strings.HasPrefix(got, today) {
		t.Errorf("stored as %s…, want %s…", got[:min(len(got), 40)], today)
	}
	o.signIn(password)
}

func TestASignInLinkIsOverWithItsTimeAndWorksOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	roles := map[string]access.Role{"acme": access.RoleAgent}
	for name, c := range map[string]struct {
		age  time.Duration
		want error
	}{"in time": {0, nil}, "an hour too late": {2 * time.Hour, grant.ErrLinkUsed}} {
		link, err := o.Link(t.Context(), operating, "Robin "+name, roles, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.db.Exec(t.Context(), `UPDATE staff_links SET expires_at = expires_at - $1::interval`, c.age); err != nil {
			t.Fatal(err)
		}
		if _, err := o.UseLink(t.Context(), link, grant.Browser{}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if _, err := o.UseLink(t.Context(), link, grant.Browser{}); !errors.Is(err, grant.ErrLinkUsed) {
			t.Errorf("%s, again: %v", name, err)
		}
	}
}
