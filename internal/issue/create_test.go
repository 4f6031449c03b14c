package issue_test

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/resource"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// Support finds an invite by its request's id without an index of requests.
func TestAnInvitesIDCarriesTheTimeOfItsRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	request, err := invite.Parse[invite.RequestID]("req_069hqkhjp5sv1bqg1oprs35ep0") // of long ago
	if err != nil {
		t.Fatal(err)
	}
	a, err := w.process().Create(t.Context(), w.key, ask("user-1"), issue.Meta{Route: "POST /v1/invites", RequestID: request.String()})
	if err != nil {
		t.Fatal(err)
	}
	if !a.Invite.ID.Time().Equal(request.Time()) {
		t.Errorf("the id says %s, the request's %s", a.Invite.ID.Time(), request.Time())
	}
	b, err := w.process().Create(t.Context(), w.key, ask("user-1"), issue.Meta{Route: "POST /v1/invites", RequestID: request.String()})
	if err != nil || a.Invite.ID == b.Invite.ID {
		t.Errorf("two of one request: %s, %s, %v", a.Invite.ID, b.Invite.ID, err)
	}
}

func TestCreateStoresEverythingAndAnswersTheLinks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, err := w.process().Create(t.Context(), w.key, ask("user-1"), issue.Meta{Route: "POST /v1/invites", RequestID: "req_1"})
	if err != nil {
		t.Fatal(err)
	}
	if a.Outcome != ledger.Created || a.Replayed {
		t.Fatalf("answer = %s, replayed %t", a.Outcome, a.Replayed)
	}
	inv := a.Invite
	u, err := url.Parse(*inv.ConnectLinkURL)
	if err != nil {
		t.Fatal(err)
	}
	if q := u.RawQuery; !strings.HasSuffix(q, "&connectLink=true&app=slack&oauthAppId=oa_slack9") {
		t.Error("app and oauthAppId do not close the query")
	}
	if !strings.HasPrefix(inv.InviteLink.URL, publicURL+"/c/") || len(inv.InviteLink.URL) != len(publicURL)+3+access.CodeLength {
		t.Error("the invite link is not ours")
	}
	if inv.Status != invite.Active || inv.App.Name != "Slack" || inv.Recipient.Email != "Pat.Doe@customer.example" {
		t.Errorf("invite = %s, app %q", inv.Status, inv.App.Name)
	}
	if left := time.Until(*inv.ExpiresAt); left < 3*time.Hour+59*time.Minute || left > 4*time.Hour+time.Second {
		t.Errorf("expires in %s, want 4 h", left)
	}
	if !inv.ExpiresAt.Equal(*inv.ConnectLinkExpiresAt) {
		t.Errorf("without valid_for the invite ends with its token: %s, %s", inv.ExpiresAt, inv.ConnectLinkExpiresAt)
	}
	if inv.Delivery == nil || inv.Delivery.Status != invite.Queued {
		t.Errorf("delivery = %+v, want it queued", inv.Delivery)
	}
	if lane := <-w.woken; lane.String() != "default/email/test" {
		t.Errorf("woke %s", lane)
	}
	read, err := find.Get(t.Context(), w.db, invite.Place{Project: "default"}, inv.ID)
	if err != nil {
		t.Fatal(err)
	}
	again, err := resource.Present(w.box, read, resource.Links{Show: true, PublicURL: publicURL})
	if err != nil {
		t.Fatal(err)
	}
	if *again.ConnectLinkURL != *inv.ConnectLinkURL || again.InviteLink.URL != inv.InviteLink.URL || !again.ExpiresAt.Equal(*inv.ExpiresAt) {
		t.Error("what was answered is not what was stored")
	}
	// Support finds it by any of these; the database sees none of them.
	if n := w.count(`SELECT count(*) FROM search_terms WHERE invite_id = $1`, inv.ID); n != 6 {
		t.Errorf("%d search terms, want address, local part, domain, two words and the inviter", n)
	}
	if n := w.count(`SELECT count(*) FROM invites WHERE id = $1 AND invites::text ILIKE '%customer.example%'`, inv.ID); n != 0 {
		t.Error("the address stands in the clear")
	}
}

func TestValidForOutlivesTheToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	week := 7 * 24 * 3600
	req := ask("user-1")
	req.ValidFor = &week
	a, err := w.process().Create(t.Context(), w.key, req, issue.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(*a.Invite.ExpiresAt); left < 7*24*time.Hour-time.Minute {
		t.Errorf("the invite ends in %s", left)
	}
	if left := time.Until(*a.Invite.ConnectLinkExpiresAt); left > 4*time.Hour+time.Second {
		t.Errorf("the token ends in %s", left)
	}
}

func TestAllFaultsAtOnceAndNothingStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	zero, tooLong := 0, 31*24*3600
	_, err := w.process().Create(t.Context(), w.key, issue.CreateRequest{
		App: "Slack!", OAuthAppID: "app_1", Channel: "sms", InitiatedBy: "me", LinkType: "raw", ExpiresIn: &zero, ValidFor: &tooLong,
		Recipient: &issue.RecipientRequest{Email: "pat@@x", Phone: "12", Locale: "xx-yy-zz!", TimeZone: "Mars/Base"},
		Inviter:   &issue.InviterRequest{Name: ""}, Note: strings.Repeat("n", 141), ReturnURL: "javascript:alert(1)",
		Metadata: map[string]string{"": "x", "k/1": strings.Repeat("v", 501)}, IfActive: "maybe",
		Fallback: &issue.FallbackRequest{},
	}, issue.Meta{IdempotencyKey: "k1", Route: "POST /v1/invites"})
	var e *invite.Error
	if !errors.As(err, &e) || e.Code != invite.CodeInvalidRequest {
		t.Fatalf("err = %v", err)
	}
	var at []string
	for _, f := range e.Faults {
		at = append(at, f.Pointer)
		if strings.Contains(f.Detail, "pat@@x") {
			t.Errorf("%s repeats the value", f.Pointer)
		}
	}
	for _, want := range []string{
		"/external_user_id", "/app", "/oauth_app_id", "/initiated_by", "/link_type", "/expires_in", "/valid_for", "/recipient/email",
		"/recipient/phone", "/recipient/locale", "/recipient/time_zone", "/inviter/name", "/note", "/return_url", "/metadata/",
		"/metadata/k~11", "/if_active", "/fallback/channel", "/fallback/after",
	} {
		if !slices.Contains(at, want) {
			t.Errorf("no fault names %s; named are %v", want, at)
		}
	}
	if n := w.count(`SELECT (SELECT count(*) FROM invites) + (SELECT count(*) FROM idempotency)`); n != 0 {
		t.Errorf("%d rows were stored", n)
	}
	if n := w.mints.Load(); n != 0 {
		t.Errorf("%d tokens were minted", n)
	}
}

// TestTwins: 64 twins on two processes make one invite, one message, and at
// most one mint per process.
func TestTwins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	processes := []*issue.Service{w.process(), w.process()}
	meta := issue.Meta{IdempotencyKey: "order-42", Route: "POST /v1/invites", Body: []byte(`{"external_user_id":"user-1"}`)}
	var wg sync.WaitGroup
	answers := make([]issue.Answer, 64)
	for i := range answers {
		wg.Go(func() {
			a, err := processes[i%2].Create(t.Context(), w.key, ask("user-1"), meta)
			if err != nil {
				t.Errorf("twin %d: %v", i, err)
			}
			answers[i] = a
		})
	}
	wg.Wait()
	first := 0
	for i, a := range answers {
		if a.Invite.ID != answers[0].Invite.ID || a.Outcome != ledger.Created {
			t.Fatalf("twin %d got %s with %s", i, a.Invite.ID, a.Outcome)
		}
		if !a.Replayed {
			first++
		}
	}
	if first != 1 {
		t.Errorf("%d twins were told that they were first", first)
	}
	if n := w.count(`SELECT count(*) FROM invites`); n != 1 {
		t.Errorf("%d invites", n)
	}
	if n := w.count(`SELECT count(*) FROM deliveries`); n != 1 {
		t.Errorf("%d deliveries", n)
	}
	if n := w.mints.Load(); n > 2 {
		t.Errorf("%d mints on two processes", n)
	}
	meta.Body = []byte(`{"external_user_id":"user-2"}`)
	if _, err := processes[0].Create(t.Context(), w.key, ask("user-2"), meta); invite.CodeOf(err) != invite.CodeIdempotencyReused {
		t.Errorf("the same key with another body: %v", err)
	}
	if _, err := processes[0].Create(t.Context(), w.newKey(), ask("user-2"), meta); err != nil {
		t.Errorf("another API key's same Idempotency-Key: %v", err)
	}
}

// A repeat after a rotation of the keyset is still the repeat of its first request,
// and another request under the same key is still a mistake, as long as the old key lives.
func TestARepeatIsAnsweredAfterAKeyRotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	keys, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	use := func() *issue.Service {
		t.Helper()
		if w.box, err = seal.NewBox(keys); err != nil {
			t.Fatal(err)
		}
		return w.process()
	}
	meta := issue.Meta{IdempotencyKey: "order-42", Route: "POST /v1/invites", Body: []byte(`{"external_user_id":"user-1"}`)}
	first, err := use().Create(t.Context(), w.key, ask("user-1"), meta)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if keys, err = keys.Rotate(); err != nil {
			t.Fatal(err)
		}
		rotated := use()
		again, err := rotated.Create(t.Context(), w.key, ask("user-1"), meta)
		if err != nil || !again.Replayed || again.Invite.ID != first.Invite.ID {
			t.Errorf("the repeat was answered with %s (replayed %t), %v; want %s", again.Invite.ID, again.Replayed, err, first.Invite.ID)
		}
		if _, err := rotated.Create(t.Context(), w.key, ask("user-2"), meta); invite.CodeOf(err) != invite.CodeIdempotencyReused {
			t.Errorf("another request under the same key: %v", err)
		}
	}
}

func TestMintThatFailsForAWhileIsStoredWithoutLink(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.down.Store(true)
	meta := issue.Meta{IdempotencyKey: "k", Route: "POST /v1/invites"}
	s := w.process()
	a, err := s.Create(t.Context(), w.key, ask("user-1"), meta)
	if err != nil {
		t.Fatal(err)
	}
	if a.Outcome != ledger.Postponed || a.Invite.Status != invite.Pending {
		t.Fatalf("answer %s, status %s; want postponed and pending", a.Outcome, a.Invite.Status)
	}
	if a.Invite.ConnectLinkURL != nil || a.Invite.ConnectLinkExpiresAt != nil || a.Invite.ExpiresAt != nil || a.Invite.InviteLink == nil {
		t.Error("before the first mint there is an invite link, and no end")
	}
	again, err := s.Create(t.Context(), w.key, ask("user-1"), meta)
	if err != nil || !again.Replayed || again.Outcome != ledger.Postponed {
		t.Errorf("the repeat was answered %s (replayed %t): %v", again.Outcome, again.Replayed, err)
	}
}

func TestMintThatIsRefusedStoresNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	req := ask("user-1")
	req.Recipient.Email = "mintfail@connectlink.test"
	_, err := w.process().Create(t.Context(), w.key, req, issue.Meta{})
	if invite.CodeOf(err) != invite.CodeMintFailed {
		t.Fatalf("err = %v", err)
	}
	if n := w.count(`SELECT count(*) FROM invites`); n != 0 {
		t.Errorf("%d invites", n)
	}
}

func TestAppsThatCannotBeConnectedAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for app, want := range map[string]invite.Code{"rss": invite.CodeAppNeedsNoAccount, "no_such_app": invite.CodeUnknownApp} {
		req := ask("user-1")
		req.App, req.OAuthAppID = app, ""
		if _, err := w.process().Create(t.Context(), w.key, req, issue.Meta{}); invite.CodeOf(err) != want {
			t.Errorf("%s: %v", app, err)
		}
	}
}

func TestIfActive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	create := func(ifActive string) (issue.Answer, error) {
		req := ask("user-1")
		req.IfActive = ifActive
		return s.Create(t.Context(), w.key, req, issue.Meta{})
	}
	first, err := create("error")
	if err != nil {
		t.Fatal(err)
	}
	_, err = create("error")
	var e *invite.Error
	if !errors.As(err, &e) || e.Code != invite.CodeActiveInviteExists || e.ExistingID != first.Invite.ID {
		t.Errorf("error: %v", err)
	}
	if a, err := create("return"); err != nil || a.Outcome != ledger.Existing || a.Invite.ID != first.Invite.ID {
		t.Errorf("return: %s %s %v", a.Outcome, a.Invite.ID, err)
	}
	second, err := create("replace")
	if err != nil || second.Invite.ID == first.Invite.ID {
		t.Fatalf("replace: %v", err)
	}
	old, err := find.Get(t.Context(), w.db, invite.Place{Project: "default"}, first.Invite.ID)
	if err != nil {
		t.Fatal(err)
	}
	if old.Status != invite.Revoked || old.ReplacedBy != second.Invite.ID || *old.DeliveryStatus != string(invite.Canceled) || old.Code != nil {
		t.Errorf("the old one is %s, replaced by %s, its message %s", old.Status, old.ReplacedBy, *old.DeliveryStatus)
	}
	if a, err := create(""); err != nil || a.Invite.ID == second.Invite.ID {
		t.Errorf("without if_active every create makes an invite: %v", err)
	}
}

func TestIfActiveHoldsAgainstConcurrentCreates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	processes := []*issue.Service{w.process(), w.process()}
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			req := ask("user-1")
			req.IfActive = "error"
			_, err := processes[i%2].Create(t.Context(), w.key, req, issue.Meta{})
			if code := invite.CodeOf(err); err != nil && code != invite.CodeActiveInviteExists {
				t.Errorf("create %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if n := w.count(`SELECT count(*) FROM invites`); n != 1 {
		t.Errorf("%d open invites of one user and app", n)
	}
}

// TestIfActiveReturnAnswersEveryConcurrentCreate: the winner of each user makes the
// invite, and all others get it, on whichever process they run.
func TestIfActiveReturnAnswersEveryConcurrentCreate(t *testing.T) {
	t.Parallel()
	const users, creates = 15, 6
	w := newWorld(t)
	processes := []*issue.Service{w.process(), w.process()}
	var wg sync.WaitGroup
	var made, returned atomic.Int64
	var ids sync.Map
	for i := range users * creates {
		wg.Go(func() {
			req := ask(fmt.Sprintf("user-%d", i%users))
			req.IfActive = "return"
			a, err := processes[i/users%2].Create(t.Context(), w.key, req, issue.Meta{})
			if err != nil {
				t.Errorf("create %d: %v", i, err)
				return
			}
			switch a.Outcome {
			case ledger.Created:
				made.Add(1)
			case ledger.Existing:
				returned.Add(1)
			default:
				t.Errorf("create %d: %s", i, a.Outcome)
			}
			if before, loaded := ids.LoadOrStore(req.ExternalUserID, a.Invite.ID); loaded && before != a.Invite.ID {
				t.Errorf("%s got %s and %s", req.ExternalUserID, before, a.Invite.ID)
			}
		})
	}
	wg.Wait()
	if made.Load() != users || returned.Load() != users*(creates-1) {
		t.Errorf("%d made and %d returned, want %d and %d", made.Load(), returned.Load(), users, users*(creates-1))
	}
	if n := w.count(`SELECT count(*) FROM invites`); n != users {
		t.Errorf("%d invites of %d users", n, users)
	}
}

// TestSecurityF8TestKeysReturnToRegisteredAddressesOnly, where others reach the
// service: its pages would lead people anywhere a key's holder likes.
func TestSecurityF8TestKeysReturnToRegisteredAddressesOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	try := func(url string) error {
		req := ask("user-1")
		req.ReturnURL = url
		_, err := s.Create(t.Context(), w.key, req, issue.Meta{})
		return err
	}
	for _, registered := range [][]string{nil, {"https://app.acme.example/back", "acme://"}} {
		w.project.ReturnURLs = registered
		for _, url := range []string{"https://evil-phish.example/login", "http://evil.example", "https://localhost.evil.example/", "https://evil.example@localhost/", "javascript:alert(1)", "other://x"} {
			err := try(url)
			if code := invite.CodeOf(err); code != invite.CodeReturnURLNotAllowed && code != invite.CodeInvalidRequest {
				t.Errorf("%s with %d registered: %v", url, len(registered), err)
			}
			if code := invite.CodeOf(err); code == invite.CodeReturnURLNotAllowed && !strings.Contains(err.Error(), "CONNECTLINK_RETURN_URLS") {
				t.Errorf("%s: the refusal does not name the setting: %v", url, err)
			}
		}
		for _, url := range []string{"http://localhost:3000/done", "https://127.0.0.1/x", "http://[::1]:8080/"} {
			if err := try(url); err != nil {
				t.Errorf("%s with %d registered: %v", url, len(registered), err)
			}
		}
		for _, url := range []string{"https://app.acme.example/back/x", "acme://connected"} {
			if err := try(url); (err == nil) != (registered != nil) {
				t.Errorf("%s with %d registered: %v", url, len(registered), err)
			}
		}
	}
}

// TestIfActiveReturnAnswersTheOpenInviteWhateverTheRace: one create of each user
// makes the invite, and all others are answered with it.
func TestIfActiveReturnAnswersTheOpenInviteWhateverTheRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	processes := []*issue.Service{w.process(), w.process()}
	const users, parallel = 15, 6
	var answers [users][parallel]issue.Answer
	var wg sync.WaitGroup
	for u := range users {
		for i := range parallel {
			wg.Go(func() {
				req := ask(fmt.Sprintf("user-%d", u))
				req.IfActive = "return"
				a, err := processes[i%2].Create(t.Context(), w.key, req, issue.Meta{})
				if err != nil {
					t.Errorf("user %d, create %d: %v", u, i, err)
				}
				answers[u][i] = a
			})
		}
	}
	wg.Wait()
	for u, mine := range answers {
		made := 0
		for _, a := range mine {
			if a.Outcome == ledger.Created {
				made++
			} else if a.Outcome != ledger.Existing {
				t.Errorf("user %d: %s", u, a.Outcome)
			}
			if a.Invite.ID != mine[0].Invite.ID {
				t.Errorf("user %d: two invites", u)
			}
		}
		if made != 1 {
			t.Errorf("user %d: %d creates made an invite", u, made)
		}
	}
	if n := w.count(`SELECT count(*) FROM invites`); n != users {
		t.Errorf("%d invites", n)
	}
}

func TestDevelopmentReachesListedRecipientsOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.project.DevelopmentRecipients = []string{"dev@acme.example"}
	p := w.key
	p.Live = true
	_, err := w.process().Create(t.Context(), p, ask("user-1"), issue.Meta{})
	if invite.CodeOf(err) != invite.CodeRecipientNotListed {
		t.Errorf("err = %v", err)
	}
}

// TestARepeatHearsWhatTheFirstHeard, independent of later changes of the
// invite.
func TestARepeatHearsWhatTheFirstHeard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	meta := issue.Meta{IdempotencyKey: "k", Route: "POST /v1/invites"}
	first, err := s.Create(t.Context(), w.key, ask("user-1"), meta)
	if err != nil {
		t.Fatal(err)
	}
	w.happens(first.Invite.ID, invite.Event{Type: invite.EventDeliverySending, DeliveryID: first.Invite.Delivery.ID})
	w.happens(first.Invite.ID, invite.Event{Type: invite.EventDeliveryAccepted, DeliveryID: first.Invite.Delivery.ID})
	if _, err := s.Resend(t.Context(), w.key, first.Invite.ID, issue.ResendRequest{
		Channel: "sms", Recipient: &issue.RecipientRequest{Phone: "+12025550100"},
	}, issue.Meta{}); err != nil {
		t.Fatal(err)
	}
	w.happens(first.Invite.ID, invite.Event{Type: invite.EventVisited})
	again, err := s.Create(t.Context(), w.key, ask("user-1"), meta)
	if err != nil || !again.Replayed {
		t.Fatalf("replayed %t, %v", again.Replayed, err)
	}
	again.Invite.Recipient = first.Invite.Recipient // as corrected since
	if diff := cmp.Diff(first.Invite, again.Invite, cmp.Comparer(func(a, b invite.ID) bool { return a == b }),
		cmp.Comparer(func(a, b invite.DeliveryID) bool { return a == b })); diff != "" {
		t.Errorf("first and repeat differ (-first +repeat):\n%s", diff)
	}
}

// Two requests at once with one Idempotency-Key and other values are a mistake, of
// which one must hear: neither gets the other's invite.
func TestTwoRequestsInFlightWithOneIdempotencyKeyAreNotTwins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	meta := issue.Meta{IdempotencyKey: "one", Route: "POST /v1/invites"}
	underWay, released := make(chan struct{}), make(chan struct{})
	var once sync.Once
	hold := func() { once.Do(func() { close(underWay); <-released }) }
	w.onMint.Store(&hold)
	type outcome struct {
		user string
		got  issue.Answer
		err  error
	}
	outcomes := make(chan outcome, 2)
	create := func(user string) {
		a, err := s.Create(t.Context(), w.key, ask(user), meta)
		outcomes <- outcome{user, a, err}
	}
	go create("user-1")
	<-underWay
	go create("user-2")
	// The second needs nothing of the first. Should it wait for it all the same, the
	// first may go on, and what comes of that is judged.
	var all []outcome
	select {
	case o := <-outcomes:
		all = append(all, o)
	case <-time.After(10 * time.Second):
	}
	close(released)
	for len(all) < 2 {
		all = append(all, <-outcomes)
	}
	made := 0
	for _, o := range all {
		switch code := invite.CodeOf(o.err); {
		case o.err == nil:
			made++
			if got := o.got.Invite.ExternalUserID; got == nil || *got != o.user {
				t.Errorf("who asked for an invite of %s got another's", o.user)
			}
		case code != invite.CodeIdempotencyReused && code != invite.CodeIdempotencyInProgress:
			t.Errorf("%s: %v", o.user, o.err)
		}
	}
	if n := w.count(`SELECT count(*) FROM invites`); made != 1 || n != 1 {
		t.Errorf("%d were told of an invite, and there are %d; want one", made, n)
	}
}
