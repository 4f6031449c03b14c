package erase_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/queue"
	"github.com/connectlink/connectlink/internal/store/suppression"
	"github.com/connectlink/connectlink/internal/track/tracktest"
)

// canary stands in everything that is personal here.
const canary = "Zebrafink"

func canaries() *invite.Content {
	return &invite.Content{
		Recipient: invite.Recipient{Email: canary + "@customer.example", Phone: "+12025550123", Name: canary},
		Inviter:   "Sam " + canary, Reason: "so that " + canary, Note: canary, ReturnURL: "https://acme.example/" + canary,
		Metadata: map[string]string{canary: canary},
	}
}

// fill makes an invite of a person with a word in every place that has room for one.
func (w *world) fill(user string) tracktest.Made {
	w.t.Helper()
	m := w.Invite(tracktest.Options{User: user, Content: canaries()})
	a := w.Attempt(m, "sendgrid", "accepted")
	w.Exec(`UPDATE attempts SET detail = $2 WHERE id = $1`, a, w.sealed("550 <"+canary+">", "attempts.detail", a.UUID()))
	w.Exec(`INSERT INTO connections (project_id, livemode, environment, account_id, invite_id, status, reason, error, next_at)
		SELECT project_id, livemode, environment, $3, id, 'unhealthy', 'account_unhealthy', $2, now() FROM invites WHERE id = $1`,
		m.ID, w.sealed(canary, "connections.error", m.ID.UUID()), "apn_"+m.ID.String())
	w.Exec(`UPDATE invites SET account_name = $2 WHERE id = $1`, m.ID, w.sealed(canary, "invites.account_name", m.ID.UUID()))
	w.Append(m.ID, invite.Event{Type: invite.EventConnectFailed, Detail: secret.New(canary + " closed the window")})
	w.callback(m.ID, canary)
	w.callback(invite.ID{}, canary) // unmatched, but its path named the invite
	w.Exec(`INSERT INTO unmatched (callback_id, project_id, livemode, invite_ref, next_at, gives_up_at)
		SELECT id, 'default', false, $1, now(), now() FROM callbacks WHERE invite_id IS NULL`, m.ID)
	w.Exec(`INSERT INTO client_tokens (digest, invite_id, key_id, expires_at) VALUES ('\x01', $1, $1, now() + interval '1 hour')`, m.ID)
	scope := suppression.Scope{Place: invite.Place{Project: "default"}, Senders: []string{sender}}
	for _, n := range []suppression.New{
		{Channel: invite.Email, Kind: invite.HardBounce, Address: secret.New(canary + "@customer.example"), InviteID: m.ID, Source: suppression.FromReceipt},
		{Channel: invite.SMS, Kind: invite.OptOut, Address: secret.New("+12025550123"), Note: secret.New(canary), Source: suppression.FromReply},
	} {
		if _, _, err := suppression.Insert(w.t.Context(), w.Pool, w.Box, scope, n); err != nil {
			w.t.Fatal(err)
		}
	}
	w.send(m, canary)
	return m
}

func (w *world) callback(id invite.ID, words string) {
	w.t.Helper()
	row := invite.New[invite.EventID]().UUID()
	w.InTx(func(tx pgx.Tx) error {
		return ledger.InsertCallbacks(w.t.Context(), tx, []ledger.Callback{{ID: row, Provider: "twilio", InviteID: id, Body: w.sealed(words, "callbacks.body", row)}})
	})
}

// send hands a text to test mode's Twilio, as dispatch does.
func (w *world) send(m tracktest.Made, words string) string {
	w.t.Helper()
	vendors := httptest.NewServer(w.sandbox.Vendors())
	defer vendors.Close()
	cred := w.sandbox.Credentials()
	form := url.Values{
		"To": {"+12025550100"}, "Body": {words}, "MessagingServiceSid": {cred.TwilioMessagingServiceSID},
		"StatusCallback": {"https://go.example.test/hooks/twilio/status/default/test/" + m.ID.String() + "/att_1"},
	}
	r, err := http.NewRequestWithContext(w.t.Context(), "POST", vendors.URL+"/twilio/2010-04-01/Accounts/"+cred.TwilioAccountSID+"/Messages.json", strings.NewReader(form.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(cred.TwilioAPIKey, cred.TwilioAPISecret.Reveal())
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var got struct{ SID string }
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || resp.StatusCode != http.StatusCreated {
		w.t.Fatalf("%d %v", resp.StatusCode, err)
	}
	return got.SID
}

// everywhere is where fill puts the canary, and the user's id.
func everywhere() []string {
	return []string{
		"attempts.detail", "callbacks.body", "connections.error", "events.detail", "invites.account_name", "invites.content", "public.invites",
		"sandbox.messages.content", "suppressions.address", "suppressions.note",
	}
}

func TestNothingOfAnErasedPersonIsLeftInAnyColumn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	user := "user-" + canary
	m := w.fill(user)
	if diff := cmp.Diff(everywhere(), slices.Sorted(maps.Keys(w.holding(canary)))); diff != "" {
		t.Fatalf("before the erasure the word does not stand where this test looks for it (-want +got):\n%s", diff)
	}
	if got := w.erase(user); got.Invites != 1 || got.Blocks != 2 || got.Before != 0 {
		t.Errorf("%+v", got)
	}
	if left := w.holding(canary); len(left) > 0 {
		t.Errorf("left in %v", slices.Sorted(maps.Keys(left)))
	}
	if n := w.Count(`SELECT (SELECT count(*) FROM search_terms) + (SELECT count(*) FROM client_tokens) + (SELECT count(*) FROM callbacks)
		+ (SELECT count(*) FROM codes WHERE code IS NOT NULL) + (SELECT count(*) FROM connect_links WHERE url IS NOT NULL)`); n != 0 {
		t.Errorf("%d rows could still lead to the person", n)
	}
	got := w.Get(m.ID)
	if got.Status != invite.Revoked || got.ErasedAt == nil || !strings.HasPrefix(got.UserText, "erased:") || got.SealedUser != nil {
		t.Errorf("the invite: %s, erased at %v, of %q", got.Status, got.ErasedAt, got.UserText)
	}
	types := w.Types(m.ID)
	if types[len(types)-1] != invite.EventErased {
		t.Errorf("the timeline ends with %s", types[len(types)-1])
	}
	if again := w.erase(user); again.Invites != 0 || again.Before != 1 {
		t.Errorf("again: %+v", again)
	}
}

func TestExportsAndErasuresStandInTheAuditLogWithoutTheUsersID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	user := "user-" + canary
	w.Invite(tracktest.Options{User: user})
	if _, err := w.Export(t.Context(), key(), user); err != nil {
		t.Fatal(err)
	}
	w.erase(user)
	w.erase(user)
	rows, _ := w.Pool.Query(t.Context(), `SELECT act || ' ' || (data->>'invites') || ' ' || (target = (SELECT external_user_id FROM invites))::text FROM audit ORDER BY at, id`)
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"export 1 true", "erase 1 true", "erase 0 true"}, got); diff != "" {
		t.Error(diff)
	}
	if left := w.holding(canary); left["public.audit"] {
		t.Error("the audit log names the person")
	}
}

func TestABlockOutlivesThePersonsAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill("user-1")
	w.erase("user-1")
	scope := suppression.Scope{Place: invite.Place{Project: "default"}, Senders: []string{sender}}
	for ch, address := range map[invite.Channel]string{invite.Email: canary + "@customer.example", invite.SMS: "+12025550123"} {
		standing, err := suppression.ListStanding(t.Context(), w.Pool, suppression.Keys(w.Box, scope, ch, address))
		if err != nil || len(standing) != 1 {
			t.Errorf("%s: %v %v, want the block to stand", ch, standing, err)
		}
	}
	if n := w.Count(`SELECT count(*) FROM suppressions WHERE address IS NOT NULL OR note IS NOT NULL`); n != 0 {
		t.Errorf("%d blocks still name somebody", n)
	}
}

func TestOtherPeopleKeepWhatIsTheirs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mine, theirs := w.Invite(tracktest.Options{User: "user-1"}), w.Invite(tracktest.Options{User: "user-2"})
	connected := w.Invite(tracktest.Options{User: "user-1", App: "github"})
	w.Append(connected.ID, invite.Event{Type: invite.EventConnected, Data: invite.Data{AccountID: "apn_1"}})
	w.erase("user-1")
	if got := w.Get(theirs.ID); got.Status != invite.Active || got.Content == nil || got.LinkURL == nil || got.Code == nil {
		t.Errorf("another person's invite: %s", got.Status)
	}
	if got := w.Get(connected.ID); got.Status != invite.Connected || got.AccountID != "apn_1" || got.Content != nil {
		t.Errorf("a connected invite: %s, account %q", got.Status, got.AccountID)
	}
	if got := w.Get(mine.ID); *got.DeliveryStatus != string(invite.Canceled) {
		t.Errorf("what waited to be sent is %s", *got.DeliveryStatus)
	}
	live := key()
	live.Live = true
	if done, err := w.Erase(t.Context(), live, "user-2", ""); err != nil || done.Invites != 0 {
		t.Errorf("the other mode's: %+v %v", done, err)
	}
}

// What a call in flight learns is recorded, without its words; so is what comes
// by callback after.
func TestErasingWhileAMessageIsOnItsWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{User: "user-1", Content: canaries()})
	a := w.Attempt(m, "sendgrid", "open")
	w.Exec(`UPDATE deliveries SET lease_token = 3, lease_owner = 7 WHERE id = $1`, m.Delivery)
	w.erase("user-1")
	if d := w.Get(m.ID); *d.DeliveryStatus != string(invite.Sending) {
		t.Errorf("a message on its way became %s", *d.DeliveryStatus)
	}
	w.InTx(func(tx pgx.Tx) error {
		_, err := ledger.Append(t.Context(), tx, w.Box, m.ID, invite.Event{
			Type: invite.EventDeliveryRejected, DeliveryID: m.Delivery, AttemptID: a, Detail: secret.New(canary), Data: invite.Data{Reason: invite.ProviderRefused},
		})
		if err != nil {
			return err
		}
		batch := &pgx.Batch{}
		queue.QueueResults(batch, []queue.Result{{
			InviteID: m.ID, AttemptID: a, Outcome: queue.Refused, ProviderCode: "550", Detail: w.sealed(canary, "attempts.detail", a.UUID()),
		}})
		return tx.SendBatch(t.Context(), batch).Close()
	})
	w.callback(m.ID, canary)
	w.InTx(func(tx pgx.Tx) error {
		return ledger.SetAccountName(t.Context(), tx, m.ID, w.sealed(canary, "invites.account_name", m.ID.UUID()))
	})
	if left := w.holding(canary); len(left) > 0 {
		t.Errorf("what came late is kept in %v", slices.Sorted(maps.Keys(left)))
	}
	if d := w.Get(m.ID); *d.DeliveryStatus != string(invite.Rejected) || d.Status != invite.Revoked {
		t.Errorf("delivery %s, invite %s: what became of the message is not recorded", *d.DeliveryStatus, d.Status)
	}
	// By a way that takes no lock: a message that test mode took just then.
	w.send(m, canary)
	w.Exec(`UPDATE attempts SET detail = $2 WHERE id = $1`, a, w.sealed(canary, "attempts.detail", a.UUID()))
	w.again()
	if left := w.holding(canary); len(left) > 0 {
		t.Errorf("the second sweep leaves %v", slices.Sorted(maps.Keys(left)))
	}
}

func TestErasingTwiceAtOnceAndWhileEventsCome(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := make([]tracktest.Made, 0, 60)
	for range 60 { // more than one batch
		made = append(made, w.Invite(tracktest.Options{User: "user-1", Content: canaries()}))
	}
	var all sync.WaitGroup
	total := make(chan int, 2)
	for range 2 {
		all.Go(func() {
			done, err := w.Erase(t.Context(), key(), "user-1", "")
			if err != nil {
				t.Error(err)
			}
			total <- done.Invites
		})
	}
	for _, m := range made {
		all.Go(func() {
			w.Append(m.ID, invite.Event{Type: invite.EventVisited}, invite.Event{Type: invite.EventConnectFailed, Detail: secret.New(canary)})
		})
	}
	all.Wait()
	if n := <-total + <-total; n != 60 {
		t.Errorf("%d invites were erased, want each of the 60 once", n)
	}
	if left := w.holding(canary); len(left) > 0 {
		t.Errorf("left in %v", slices.Sorted(maps.Keys(left)))
	}
	if n := w.Count(`SELECT count(*) FROM events WHERE type = 'erased'`); n != 60 {
		t.Errorf("%d events say so, want 60", n)
	}
}

func TestAnExportHoldsEverythingAndNoCredential(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.fill("user-1")
	w.Invite(tracktest.Options{User: "user-1", App: "github"})
	w.Invite(tracktest.Options{User: "user-2"})
	export, err := w.Export(t.Context(), key(), "user-1")
	if err != nil || export.Invites != 2 {
		t.Fatalf("%d invites, %v", export.Invites, err)
	}
	var b bytes.Buffer
	if err := export.Write(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	type record struct {
		ID         string `json:"id"`
		Recipient  struct{ Email, Name string }
		Attempts   []struct{ Detail string }
		Events     []struct{ Type, Detail string }
		Callbacks  []struct{ Body string }
		Deliveries []struct{ Number int }
	}
	var got struct {
		Invites      []record
		Suppressions []struct{ Kind, Recipient, Note string }
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatalf("%v: %s", err, b.Bytes())
	}
	i := slices.IndexFunc(got.Invites, func(r record) bool { return r.ID == m.ID.String() })
	if len(got.Invites) != 2 || i < 0 {
		t.Fatalf("invites: %+v", got.Invites)
	}
	one := got.Invites[i]
	if one.Recipient.Name != canary || len(one.Attempts) != 1 || one.Attempts[0].Detail != "550 <"+canary+">" || len(one.Callbacks) != 1 ||
		one.Callbacks[0].Body != canary || len(one.Deliveries) != 1 || !slices.ContainsFunc(one.Events, func(e struct{ Type, Detail string }) bool {
		return e.Type == "connect_failed" && strings.Contains(e.Detail, canary)
	}) {
		t.Errorf("%+v", one)
	}
	if len(got.Suppressions) != 2 || got.Suppressions[0].Recipient != canary+"@customer.example" || got.Suppressions[1].Note != canary {
		t.Errorf("suppressions: %+v", got.Suppressions)
	}
	for _, credential := range []string{m.Code.Reveal(), m.Token.Reveal(), m.Hook.Reveal()} {
		if strings.Contains(b.String(), credential) {
			t.Error("a credential stands in the export")
		}
	}
}

func TestWhatIsHandedOverAtPipedreamAfterAnErasureIsNobodys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{User: "user-1"})
	w.HandOut(m)
	w.erase("user-1")
	if n := w.Count(`SELECT count(*) FROM invites WHERE poll_at IS NOT NULL OR poll_until > now() - interval '1 day'`); n != 0 {
		t.Error("it is still looked for an account of the person's")
	}
	c, err := ledger.GetCandidate(t.Context(), w.Pool, m.ID)
	if err != nil || c.UserText == "user-1" {
		t.Errorf("%+v %v", c, err)
	}
}
