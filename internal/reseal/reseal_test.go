package reseal_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/pquerna/otp/totp"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/quota"
	"github.com/connectlink/connectlink/internal/reseal"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/keyring"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/suppression"
	"github.com/connectlink/connectlink/internal/store/userid"
	"github.com/connectlink/connectlink/internal/track/tracktest"
)

// world is a database with rows of an old key, and the keysets after it.
type world struct {
	*tracktest.Kit
	t                   *testing.T
	old, promoted, last *seal.Keyset
	now, after          *seal.Box // with both keys, and with the new one alone
}

func newWorld(t *testing.T) *world {
	t.Helper()
	old := must(seal.NewKeyset())(t)
	w := &world{t: t, old: old, Kit: tracktest.NewWith(t, must(seal.NewBox(old))(t))}
	w.promoted = must(old.Rotate())(t)
	w.last = must(w.promoted.Retire())(t)
	w.now, w.after = must(seal.NewBox(w.promoted))(t), must(seal.NewBox(w.last))(t)
	return w
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (w *world) reseal(ctx context.Context, report func(keyring.Progress)) error {
	w.t.Helper()
	s := must(reseal.New(reseal.Params{
		DB: w.Pool, Box: w.now, Log: slog.New(slog.DiscardHandler), Report: report,
		Projects: []config.Project{{ID: "default", Twilio: config.Twilio{From: "+15005550006"}}},
	}))(w.t)
	return s.Run(ctx)
}

// refusal is why the old keys cannot be retired; nil if they can.
func (w *world) refusal() *reseal.Refusal {
	w.t.Helper()
	err := reseal.CheckRetired(w.t.Context(), w.Pool, w.last.IDs())
	var refused *reseal.Refusal
	if err != nil && !errors.As(err, &refused) {
		w.t.Fatal(err)
	}
	return refused
}

var place = invite.Place{Project: "default"}

func (w *world) optOut(scope suppression.Scope, ch invite.Channel, kind invite.Block, address string) invite.SuppressionID {
	w.t.Helper()
	id, fresh, err := suppression.Insert(w.t.Context(), w.Pool, w.Box, scope, suppression.New{
		Channel: ch, Kind: kind, Address: secret.New(address), Note: secret.New("why"), Source: suppression.FromReply,
	})
	if err != nil || !fresh {
		w.t.Fatalf("insert suppression: %t, %v", fresh, err)
	}
	return id
}

func (w *world) standing(box *seal.Box, scope suppression.Scope, ch invite.Channel, address string) int {
	w.t.Helper()
	return len(must(suppression.ListStanding(w.t.Context(), w.Pool, suppression.Keys(box, scope, ch, address)))(w.t))
}

func TestResealLeavesNothingUnderTheOldKey(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	scope := suppression.Scope{Place: place, Senders: []string{"+15005550006"}}
	sealedUser := w.Invite(tracktest.Options{User: "user-sealed", Sealed: true})
	hashedUser := w.Invite(tracktest.Options{User: "user-hashed", Hashed: true})
	w.optOut(scope, invite.SMS, invite.OptOut, "+12025550101")
	w.optOut(scope, invite.Email, invite.HardBounce, "gone@customer.example")
	erased := w.optOut(scope, invite.SMS, invite.OptOut, "+12025550102")
	if err := postgres.InTx(ctx, w.Pool, func(tx pgx.Tx) error {
		w.Exec(`UPDATE suppressions SET invite_id = $2 WHERE id = $1`, erased, hashedUser.ID)
		_, err := suppression.SetErased(ctx, tx, w.Box, scope, []invite.ID{hashedUser.ID}, nil)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	staff := grant.NewStaff(w.Pool, w.Box)
	if _, err := staff.Create(ctx, access.Principal{Kind: access.KindSystem}, grant.NewAccount{
		Login: secret.New("Ops@Vendor.example"), Name: "Ops", Password: secret.New("correct horse battery staple"),
	}); err != nil {
		t.Fatal(err)
	}
	w.Exec(`UPDATE staff SET login = NULL`) // as the version before stored it
	ops := func(staff *grant.Staff) grant.Ticket {
		t.Helper()
		ticket, err := staff.CheckPassword(ctx, secret.New("ops@vendor.example"), secret.New("correct horse battery staple"), grant.Browser{})
		if err != nil {
			t.Errorf("the right password: %v", err)
		}
		return ticket
	}
	code := func(key string) secret.Text {
		t.Helper()
		w.Exec(`UPDATE staff_totp SET last_step = 0`)
		var now time.Time
		w.Row(`SELECT now()`, nil, &now)
		return secret.New(must(totp.GenerateCode(key, now))(t))
	}
	app := ops(staff)
	if _, err := staff.Finish(ctx, app.Token, code(app.Setup.Secret.Reveal()), grant.Browser{}); err != nil {
		t.Fatal(err)
	}
	w.Exec(`UPDATE staff SET login = NULL`)
	if w.refusal() == nil {
		t.Fatal("the old key could be retired at once")
	}

	if err := w.reseal(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if r := w.refusal(); r != nil {
		t.Fatal(r)
	}
	// With the new key alone, everything is found and opened.
	for name, n := range map[string]int{
		"an opt-out":                       w.standing(w.after, scope, invite.SMS, "+12025550101"),
		"a bounce":                         w.standing(w.after, scope, invite.Email, "Gone@customer.example"),
		"the opt-out of an erased person":  w.standing(w.after, scope, invite.SMS, "+12025550102"),
		"the same to a process before it":  w.standing(w.now, scope, invite.SMS, "+12025550102"),
		"an invite by the address's terms": len(w.search(ledger.AddressTerms(w.after, place, "pat@customer.example"))) - 1,
	} {
		if n != 1 {
			t.Errorf("%s: %d found, want 1", name, n)
		}
	}
	for _, id := range []struct{ user, hash any }{{"user-sealed", sealedUser.ID}, {"user-hashed", hashedUser.ID}} {
		ids := must(find.ListUser(ctx, w.Pool, find.NewUser(w.after, place, id.user.(string)), 10))(t)
		if len(ids) != 1 || ids[0] != id.hash {
			t.Errorf("user %v: %v", id.user, ids)
		}
	}
	again := grant.NewStaff(w.Pool, w.after)
	if _, err := again.Finish(ctx, ops(again).Token, code(app.Setup.Secret.Reveal()), grant.Browser{}); err != nil {
		t.Errorf("the right code: %v", err)
	}
	if _, err := again.CheckPassword(ctx, secret.New("ops@vendor.example"), secret.New("wrong horse battery staple"), grant.Browser{}); !errors.Is(err, grant.ErrRefused) {
		t.Errorf("a wrong password: %v", err)
	}
	var content []byte
	w.Row(`SELECT content FROM invites WHERE id = $1`, []any{sealedUser.ID}, &content)
	if c, err := find.Open(w.after, sealedUser.ID, content); err != nil || c.Recipient.Email != "pat@customer.example" {
		t.Errorf("content: %q, %v", c.Recipient.Email, err)
	}
	var user userid.Columns
	w.Row(`SELECT external_user_id, sealed_user_id FROM invites WHERE id = $1`, []any{sealedUser.ID}, &user.UserText, &user.SealedUser)
	if got, err := user.OpenUser(w.after, sealedUser.ID); err != nil || got != "user-sealed" ||
		user.UserText != userid.Placeholder(userid.Hash(w.after, place, "user-sealed")) {
		t.Errorf("user %q with placeholder %s, %v", got, user.UserText, err)
	}
}

func (w *world) search(terms []seal.Hash) []invite.ID {
	w.t.Helper()
	rows, _ := w.Pool.Query(w.t.Context(), `SELECT invite_id FROM search_terms WHERE hash = ANY($1)`, terms)
	return must(pgx.CollectRows(rows, pgx.RowTo[invite.ID]))(w.t)
}

func TestResealGoesOnWhereItWasKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 150 {
		w.Invite(tracktest.Options{Content: &invite.Content{Recipient: invite.Recipient{Email: "pat@customer.example", Name: strings.Repeat("a", 200)}, Note: strings.Repeat("x", 1100)}})
	}
	ctx, kill := context.WithCancel(t.Context())
	err := w.reseal(ctx, func(p keyring.Progress) {
		if p.Table == "public.invites" && p.Block < p.Blocks {
			kill()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("the first run ended with %v", err)
	}
	stopped, found, err := keyring.FindProgress(t.Context(), w.Pool, "public.invites")
	if err != nil || !found || stopped.Block == 0 || stopped.FinishedAt != nil {
		t.Fatalf("progress %+v, %v", stopped, err)
	}
	first := int64(-1)
	if err := w.reseal(t.Context(), func(p keyring.Progress) {
		if first < 0 {
			first = p.Block
		}
	}); err != nil {
		t.Fatal(err)
	}
	if first <= stopped.Block {
		t.Errorf("the second run began at block %d, the first one had come to %d", first, stopped.Block)
	}
	if r := w.refusal(); r != nil {
		t.Error(r)
	}
	done, _, err := keyring.FindProgress(t.Context(), w.Pool, "public.invites")
	if err != nil || done.Renewed != 150 || done.FinishedAt == nil {
		t.Errorf("%d rows renewed, finished %v, %v", done.Renewed, done.FinishedAt, err)
	}
}

func TestARowThatAnotherHoldsIsRenewedLater(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	held := w.Invite(tracktest.Options{})
	w.Invite(tracktest.Options{})
	tx := must(w.Pool.Begin(ctx))(t)
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if _, err := ledger.Lock(ctx, tx, held.ID); err != nil {
		t.Fatal(err)
	}
	released := false
	if err := w.reseal(ctx, func(p keyring.Progress) {
		if p.Table == "public.invites" && p.Pass == 2 && !released {
			released = true
			if err := tx.Commit(ctx); err != nil {
				t.Error(err)
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	if !released {
		t.Fatal("there was no second pass")
	}
	if r := w.refusal(); r != nil {
		t.Error(r)
	}
}

// A hash is renewed only from a copy that it was made of: a wrong one would make a row
// impossible to find.
func TestAHashThatItsCopyDoesNotGiveStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	scope := suppression.Scope{Place: place}
	id := w.optOut(scope, invite.Email, invite.HardBounce, "gone@customer.example")
	other := must(w.Box.Seal([]byte("else@customer.example"), seal.AD{Column: "suppressions.address", ID: id.UUID()}))(t)
	w.Exec(`UPDATE suppressions SET address = $2 WHERE id = $1`, id, other)
	if err := w.reseal(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	r := w.refusal()
	if r == nil || len(r.Rows) != 1 || r.Rows[0].Column != "public.suppressions.hash" || r.Rows[0].N != 1 {
		t.Fatalf("refusal %v", r)
	}
	if n := w.standing(w.now, scope, invite.Email, "gone@customer.example"); n != 1 {
		t.Errorf("%d found with both keys, want 1", n)
	}
}

// Processes with different primary keys may store a suppression twice.
func TestResealJoinsTwins(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	scope := suppression.Scope{Place: place, Senders: []string{"+15005550006"}}
	w.optOut(scope, invite.SMS, invite.OptOut, "+12025550101")
	if _, fresh, err := suppression.Insert(ctx, w.Pool, w.after, scope, suppression.New{
		Channel: invite.SMS, Kind: invite.OptOut, Address: secret.New("+12025550101"), Source: suppression.FromReply,
	}); err != nil || !fresh {
		t.Fatalf("the twin: %t, %v", fresh, err)
	}
	if err := w.reseal(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if n := w.standing(w.after, scope, invite.SMS, "+12025550101"); n != 1 {
		t.Errorf("%d stand, want 1", n)
	}
	if r := w.refusal(); r != nil {
		t.Error(r)
	}
}

func TestResealKeepsTheMoreSevereTwin(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	scope := suppression.Scope{Place: place}
	for address, kinds := range map[string][2]invite.Block{
		"old@customer.example": {invite.SpamReport, invite.HardBounce}, "new@customer.example": {invite.ByHand, invite.UnsubscribedBlock},
	} {
		w.optOut(scope, invite.Email, kinds[0], address)
		if _, fresh, err := suppression.Insert(ctx, w.Pool, w.after, scope, suppression.New{
			Channel: invite.Email, Kind: kinds[1], Address: secret.New(address), Source: suppression.FromReply,
		}); err != nil || !fresh {
			t.Fatalf("the twin: %t, %v", fresh, err)
		}
	}
	if err := w.reseal(ctx, nil); err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]invite.Block{"old@customer.example": invite.SpamReport, "new@customer.example": invite.UnsubscribedBlock} {
		list := must(suppression.ListStanding(ctx, w.Pool, suppression.Keys(w.after, scope, invite.Email, address)))(t)
		if len(list) != 1 || list[0].Kind != want {
			t.Errorf("%s: %v stand, want %s", address, list, want)
		}
	}
	if n := w.Count(`SELECT count(*) FROM suppressions WHERE lifted_by = 'system'`); n != 2 {
		t.Errorf("%d were lifted, want 2", n)
	}
}

func TestAccountsOfSingleSignOnAreNamedUntilTheySignIn(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	who := grant.Identity{Issuer: "https://id.example", Subject: "42", Person: grant.Person{Name: "Kim"}, Roles: map[string]access.Role{"*": access.RoleLead}}
	if _, err := grant.NewStaff(w.Pool, w.Box).SignInWithOIDC(ctx, who, grant.Browser{}); err != nil {
		t.Fatal(err)
	}
	w.Exec(`UPDATE staff SET login = NULL`)
	if err := w.reseal(ctx, nil); err != nil {
		t.Fatal(err)
	}
	r := w.refusal()
	if r == nil || !strings.Contains(r.Error(), "public.staff.login_hash: 1") || !strings.Contains(r.Error(), "signs in") {
		t.Fatalf("refusal: %v", r)
	}
	if _, err := grant.NewStaff(w.Pool, w.now).SignInWithOIDC(ctx, who, grant.Browser{}); err != nil {
		t.Fatal(err)
	}
	if r := w.refusal(); r != nil {
		t.Error(r)
	}
	if _, err := grant.NewStaff(w.Pool, w.after).SignInWithOIDC(ctx, who, grant.Browser{}); err != nil {
		t.Fatal(err)
	}
	if n := w.Count(`SELECT count(*) FROM staff WHERE kind = $1`, account.ByIssuer); n != 1 {
		t.Errorf("%d accounts of one person", n)
	}
}

func TestWhatAPersonWasSentIsStillCounted(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	live := invite.Place{Project: "default", Live: true}
	m := w.Invite(tracktest.Options{Hashed: true})
	w.Exec(`UPDATE invites SET livemode = true, user_hash = $2 WHERE id = $1`, m.ID, userid.Hash(w.Box, live, "user-1"))
	subject := func(box *seal.Box) seal.Hash {
		return quota.Recipients(box, "+15005550006", invite.SMS, "+12025550100")[0]
	}
	uses := func(box *seal.Box) []ledger.Use {
		return []ledger.Use{{Scope: ledger.UseRecipient, Subject: subject(box), PerHour: 3, PerDay: 3}, {Scope: ledger.UseUser, Subject: userid.Hash(box, live, "user-1"), PerDay: 9}}
	}
	count := func(box *seal.Box) error {
		return postgres.InTx(ctx, w.Pool, func(tx pgx.Tx) error { return ledger.CountUses(ctx, tx, m.ID, uses(box)) })
	}
	for _, box := range []*seal.Box{w.Box, w.Box, w.now} {
		if err := count(box); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.reseal(ctx, nil); err != nil {
		t.Fatal(err)
	}
	var over *ledger.LimitError
	if err := count(w.after); !errors.As(err, &over) || over.Use.Scope != ledger.UseRecipient {
		t.Errorf("the fourth message of an hour: %v", err)
	}
	if r := w.refusal(); r != nil {
		t.Error(r)
	}
	// A person whose invites are gone is not counted on, and waits for the day to pass.
	w.Exec(`INSERT INTO sending_uses (scope, subject, day, times) VALUES ('user', $1, '1970-01-01', ARRAY[now()])`, w.Box.Hash("user", "gone"))
	if err := w.reseal(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if r := w.refusal(); r == nil || len(r.Rows) != 1 || r.Rows[0].Column != "public.sending_uses.subject" || r.Rows[0].Waits == "" {
		t.Fatalf("refusal: %v", r)
	}
	w.Exec(`UPDATE sending_uses SET used_at = now() - interval '25 hours'`)
	if err := w.reseal(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if r := w.refusal(); r != nil {
		t.Error(r)
	}
}

// A run that ends between the moving of counts and the commit of a batch must not lose
// the counts: afterwards the batch's rows do not tell whose they are.
func TestBugCountsOfARunThatEndsInABatchAreKept(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	live := invite.Place{Project: "default", Live: true}
	m := w.Invite(tracktest.Options{Hashed: true})
	old, renewed := userid.Hash(w.Box, live, "user-1"), userid.Hash(w.after, live, "user-1")
	w.Exec(`UPDATE invites SET livemode = true, user_hash = $2 WHERE id = $1`, m.ID, old)
	w.Exec(`INSERT INTO sending_uses (scope, subject, day, times) VALUES ('user', $1, '1970-01-01', ARRAY[now()])`, old)
	tx := must(w.Pool.Begin(ctx))(t)
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if _, err := tx.Exec(ctx, `SELECT FROM sending_uses FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	if err := w.reseal(ctx, nil); err == nil {
		t.Fatal("the first run moved a count that another transaction holds")
	}
	if err := tx.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	if err := w.reseal(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if n := w.Count(`SELECT count(*) FROM sending_uses WHERE subject = $1`, renewed); n != 1 {
		t.Errorf("%d counts under the new key, want 1", n)
	}
}

func TestPasscodesAndIdempotencyRecordsEndWithTheirTime(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	m := w.Invite(tracktest.Options{})
	hash := ledger.PasscodeHashes(w.Box, m.Delivery, "123456")[0]
	w.Exec(`INSERT INTO passcodes (invite_id, delivery_id, hash, expires_at, created_at) VALUES ($1, $2, $3, now() + interval '5 minutes', now())`, m.ID, m.Delivery, hash)
	w.Exec(`INSERT INTO idempotency (key_id, route, key_hash, body_mac, invite_id, status) VALUES (gen_random_uuid(), 'r', 'k', $2, $1, 201)`, m.ID, w.Box.Hash("idempotency.request", "x"))
	if err := w.reseal(ctx, nil); err != nil {
		t.Fatal(err)
	}
	r := w.refusal()
	if r == nil || len(r.Rows) != 2 || r.Rows[0].Waits == "" || r.Rows[1].Waits == "" {
		t.Fatalf("refusal: %v", r)
	}
	w.Exec(`UPDATE passcodes SET expires_at = now() - interval '1 minute'`)
	w.Exec(`UPDATE idempotency SET created_at = now() - interval '25 hours'`)
	if err := w.reseal(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if r := w.refusal(); r != nil {
		t.Error(r)
	}
	// Digits that are still to be sent tell the hash.
	digits := must(w.Box.Seal([]byte("654321"), seal.AD{Column: "passcodes.digits", ID: m.Delivery.UUID()}))(t)
	w.Exec(`UPDATE passcodes SET digits = $2, hash = $3, expires_at = now() + interval '5 minutes' WHERE delivery_id = $1`,
		m.Delivery, digits, ledger.PasscodeHashes(w.Box, m.Delivery, "654321")[0])
	if err := w.reseal(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if n := w.Count(`SELECT count(*) FROM passcodes WHERE hash = $1`, ledger.PasscodeHashes(w.after, m.Delivery, "654321")[0]); n != 1 {
		t.Error("the passcode is not renewed")
	}
}

func TestAProcessWithoutTheNewKeyHoldsUpResealAndRetire(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	process := uuid.New()
	see := func(k *seal.Keyset) {
		t.Helper()
		if err := keyring.SetSeen(ctx, w.Pool, process, k.IDs()); err != nil {
			t.Fatal(err)
		}
	}
	see(w.old)
	if err := w.reseal(ctx, nil); !errors.Is(err, reseal.ErrUnknownKey) {
		t.Fatalf("reseal beside a process that lacks the key: %v", err)
	}
	// One that holds it and writes with the old one: rows can be renewed, and more of
	// the old key may come.
	introduced := must(w.old.Introduce())(t)
	w.promoted = must(introduced.Promote())(t)
	w.last = must(w.promoted.Retire())(t)
	w.now = must(seal.NewBox(w.promoted))(t)
	see(introduced)
	if err := w.reseal(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if r := w.refusal(); r == nil || r.Processes != 1 {
		t.Fatalf("refusal: %v", r)
	}
	see(w.promoted)
	if r := w.refusal(); r != nil {
		t.Fatal(r)
	}
	if err := keyring.DeleteSeen(ctx, w.Pool, process); err != nil {
		t.Fatal(err)
	}
	if list := must(keyring.ListProcesses(ctx, w.Pool, time.Minute))(t); len(list) != 0 {
		t.Errorf("%d processes are left", len(list))
	}
}

// A process of a release before keys were recorded, and one that ended without notice.
func TestAProcessThatHasNotRecordedItsKeysHoldsUpResealAndRetire(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	process := uuid.New()
	for _, name := range []string{"connectlink worker", keyring.SessionName("api", process)} {
		cfg := w.Pool.Config().ConnConfig
		cfg.RuntimeParams["application_name"] = name
		conn := must(pgx.ConnectConfig(ctx, cfg))(t)
		if err := w.reseal(ctx, nil); !errors.Is(err, reseal.ErrUnrecorded) || !strings.Contains(err.Error(), name) {
			t.Errorf("reseal beside %q: %v", name, err)
		}
		if err := reseal.CheckRetired(ctx, w.Pool, w.last.IDs()); !errors.Is(err, reseal.ErrUnrecorded) {
			t.Errorf("retire beside %q: %v", name, err)
		}
		if name != "connectlink worker" {
			if err := keyring.SetSeen(ctx, w.Pool, process, w.promoted.IDs()); err != nil {
				t.Fatal(err)
			}
			if err := w.reseal(ctx, nil); err != nil {
				t.Errorf("reseal beside a recorded process: %v", err)
			}
		}
		if err := conn.Close(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRowsOfAMissingKeyAreNamed(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	w.optOut(suppression.Scope{Place: place}, invite.Email, invite.HardBounce, "gone@customer.example")
	if err := keyring.SetSeen(ctx, w.Pool, uuid.New(), w.old.IDs()); err != nil {
		t.Fatal(err)
	}
	missing := func(keyset *seal.Keyset) []reseal.Standing {
		t.Helper()
		return append(must(reseal.ListMissingSuppressions(ctx, w.Pool, keyset.IDs(), 10))(t), must(reseal.ListMissing(ctx, w.Pool, keyset.IDs(), 10))(t)...)
	}
	if rows := missing(w.promoted); len(rows) != 0 {
		t.Fatalf("with both keys: %v", rows)
	}
	rows := missing(w.last)
	if list := reseal.List(rows); !strings.Contains(list, "public.suppressions.hash: 1") || !strings.Contains(list, "public.suppressions.address: 1") {
		t.Fatalf("missing: %s", list)
	}
	if err := keyring.SetCleared(ctx, w.Pool, w.old.IDs()); err != nil {
		t.Fatal(err)
	}
	if rows := missing(w.last); len(rows) != 0 {
		t.Errorf("after they are given up: %v", rows)
	}
	if err := keyring.SetSeen(ctx, w.Pool, uuid.New(), w.old.IDs()); err != nil {
		t.Fatal(err)
	}
	if rows := missing(w.last); len(rows) == 0 {
		t.Error("a key that is in use again is not looked for")
	}
}

// A key that no process recorded is found too, beside the keys around it, and by one
// entry of the index per key.
func TestSuppressionsOfAnUnknownKeyAreFoundInAnyTable(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	w.optOut(suppression.Scope{Place: place}, invite.Email, invite.HardBounce, "gone@customer.example")
	insert := func(key, n int) {
		w.Exec(`INSERT INTO suppressions (id, project_id, livemode, channel, kind, hash, source)
			SELECT gen_random_uuid(), 'default', false, 'email', 'by_hand', decode(lpad(to_hex($1::bigint), 8, '0'), 'hex') || sha256(i::text::bytea), 'api'
			FROM generate_series(1, $2) i`, key, n)
	}
	old := int(w.old.IDs().Hashing[0])
	for _, key := range []int{0, old - 1, old + 1, 1<<32 - 1} {
		insert(key, 3)
	}
	insert(old, 2000)
	w.Exec(`UPDATE suppressions SET lifted_at = now() WHERE substring(hash from 1 for 4) = '\x00000000'`)
	list := must(reseal.ListMissingSuppressions(ctx, w.Pool, w.old.IDs(), 2))(t)
	if len(list) != 3 || list[0].Key != uint32(old-1) || list[1].Key != uint32(old+1) || list[2].Key != 1<<32-1 || list[0].N != 2 {
		t.Errorf("found %+v", list)
	}
	if list := must(reseal.ListMissingSuppressions(ctx, w.Pool, w.last.IDs(), 10_000))(t); len(list) != 4 || list[1].N != 2001 {
		t.Errorf("without the old key: %+v", list)
	}
}

// Row reads one row.
func (w *world) Row(sql string, args []any, into ...any) {
	w.t.Helper()
	if err := w.Pool.QueryRow(w.t.Context(), sql, args...).Scan(into...); err != nil {
		w.t.Fatal(err)
	}
}
