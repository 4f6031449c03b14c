package suppress_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/provider/sendgrid"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/suppression"
	"github.com/connectlink/connectlink/internal/suppress"
	"github.com/connectlink/connectlink/internal/track/tracktest"
)

const sender = "MG00000000000000000000000000000000"

// world is the service beside a SendGrid whose lists answer as told.
type world struct {
	*tracktest.Kit
	*suppress.Service
	t      *testing.T
	mu     sync.Mutex
	asked  []string
	answer int
}

func newWorld(t *testing.T, change ...func(*suppress.Params)) *world {
	t.Helper()
	w := &world{Kit: tracktest.New(t), t: t, answer: http.StatusNoContent}
	lists := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.asked = append(w.asked, r.Method+" "+r.URL.EscapedPath())
		rw.WriteHeader(w.answer)
	}))
	t.Cleanup(lists.Close)
	mail := sendgrid.New(sendgrid.Params{BaseURL: lists.URL, APIKey: secret.New("SG.k")})
	p := suppress.Params{
		DB: w.Pool, Box: w.Box, Senders: func(invite.Place) []string { return []string{sender} },
		Unlister: func(invite.Place) (provider.Unlister, bool) { return mail, true },
		SenderOf: func(string, invite.Place) string { return "" },
		Scripted: func(a string) bool { return strings.HasSuffix(a, "@connectlink.test") },
	}
	for _, f := range change {
		f(&p)
	}
	var err error
	if w.Service, err = suppress.New(p); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) principal() access.Principal {
	return access.Principal{Kind: "key", ID: invite.New[invite.KeyID]().String(), Place: invite.Place{Project: "default"}}
}

// happen records what became of an invite's message, and notes what follows.
func (w *world) happen(m tracktest.Made, s invite.DeliveryStatus, r invite.Reason) {
	w.t.Helper()
	w.InTx(func(tx pgx.Tx) error {
		a, err := ledger.Append(w.t.Context(), tx, w.Box, m.ID, invite.Event{
			Type: invite.DeliveryEvent(s), DeliveryID: m.Delivery, Data: invite.Data{Reason: r, Provider: "p"},
		})
		if err != nil {
			return err
		}
		return w.Note(w.t.Context(), tx, a)
	})
}

// blocked lists the kinds that stand against an address.
func (w *world) blocked(project string, ch invite.Channel, address string) []invite.Block {
	w.t.Helper()
	keys := suppression.Keys(w.Box, suppression.Scope{Place: invite.Place{Project: project}, Senders: []string{sender}}, ch, address)
	list, err := suppression.ListStanding(w.t.Context(), w.Pool, keys)
	if err != nil {
		w.t.Fatal(err)
	}
	var kinds []invite.Block
	for _, st := range list {
		kinds = append(kinds, st.Kind)
	}
	return kinds
}

func TestWhatBecameOfAMessageBlocksItsAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, c := range []struct {
		channel invite.Channel
		status  invite.DeliveryStatus
		reason  invite.Reason
		want    []invite.Block
		other   []invite.Block // in another project of the same sender
	}{
		{invite.Email, invite.Bounced, invite.AddressNotFound, []invite.Block{invite.HardBounce}, nil},
		{invite.Email, invite.Bounced, invite.MailboxUnavailable, nil, nil},
		{invite.Email, invite.Bounced, invite.MailReturned, nil, nil},
		{invite.Email, invite.Rejected, invite.MessageBroken, nil, nil},
		{invite.Email, invite.Suppressed, invite.Unsubscribed, []invite.Block{invite.UnsubscribedBlock}, nil},
		{invite.Email, invite.Complained, invite.MarkedSpam, []invite.Block{invite.SpamReport}, nil},
		{invite.SMS, invite.Rejected, invite.OptedOut, []invite.Block{invite.OptOut}, []invite.Block{invite.OptOut}},
		{invite.SMS, invite.Undelivered, invite.NumberUnknown, []invite.Block{invite.BadNumber}, nil},
		{invite.SMS, invite.Undelivered, invite.PhoneUnreachable, nil, nil},
	} {
		r := invite.Recipient{Email: fmt.Sprintf("pat%d@customer.example", i), Phone: fmt.Sprintf("+1202555012%d", i)}
		m := w.Invite(tracktest.Options{Channel: c.channel, User: fmt.Sprint("user-", i), Content: &invite.Content{Recipient: r}})
		w.happen(m, c.status, c.reason)
		w.happen(m, c.status, c.reason)
		if diff := cmp.Diff(c.want, w.blocked("default", c.channel, strings.ToUpper(r.Address(c.channel)))); c.channel == invite.Email && diff != "" {
			t.Errorf("%s %s, by another spelling:\n%s", c.status, c.reason, diff)
		}
		if diff := cmp.Diff(c.want, w.blocked("default", c.channel, r.Address(c.channel))); diff != "" {
			t.Errorf("%s %s:\n%s", c.status, c.reason, diff)
		}
		if diff := cmp.Diff(c.other, w.blocked("other", c.channel, r.Address(c.channel))); diff != "" {
			t.Errorf("%s %s, another project:\n%s", c.status, c.reason, diff)
		}
	}
	if n := w.Count(`SELECT count(*) FROM suppressions`); n != 5 {
		t.Errorf("%d blocks, want 5", n)
	}
}

// TestF01AnUnsubscribedAddressIsAnOptOut: it is no dead mailbox, and staff are not
// offered to lift it, because the next mail would be dropped again.
func TestF01AnUnsubscribedAddressIsAnOptOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	w.happen(m, invite.Suppressed, invite.Unsubscribed)
	by := access.Principal{Place: invite.Place{Project: "default"}, Kind: access.KindKey, ID: "key_1"}
	list, _, err := w.List(t.Context(), by, suppress.Query{Limit: 10})
	if err != nil || len(list) != 1 || list[0].Kind != invite.UnsubscribedBlock || list[0].Kind.Liftable() {
		t.Fatalf("%+v, %v", list, err)
	}
	_, err = w.Lift(t.Context(), by, list[0].ID, "they asked on the phone")
	if invite.CodeOf(err) != invite.CodeRecipientOptedOut || !strings.Contains(err.Error(), "unsubscribed") || strings.Contains(err.Error(), "STOP") {
		t.Errorf("lifted: %v", err)
	}
}

func TestNotMeBlocksTheAddressForTheProject(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	w.InTx(func(tx pgx.Tx) error {
		a, err := ledger.Append(t.Context(), tx, w.Box, m.ID, invite.Event{Type: invite.EventReported, Actor: invite.Actor{Kind: invite.ActorRecipient}})
		if err != nil {
			return err
		}
		return w.Note(t.Context(), tx, a)
	})
	if diff := cmp.Diff([]invite.Block{invite.NotMe}, w.blocked("default", invite.Email, "pat@customer.example")); diff != "" {
		t.Error(diff)
	}
	if got := w.blocked("default", invite.SMS, "+12025550100"); len(got) != 0 {
		t.Errorf("the phone is blocked too: %v", got)
	}
}

func TestAFailureOfAnAddressSinceCorrectedBlocksNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	w.Append(m.ID, invite.Event{Type: invite.EventDeliverySending, DeliveryID: m.Delivery}, invite.Event{Type: invite.EventAddressCorrected})
	w.happen(m, invite.Bounced, invite.AddressNotFound)
	erased := w.Invite(tracktest.Options{User: "user-2"})
	w.Exec(`UPDATE invites SET content = NULL WHERE id = $1`, erased.ID)
	w.happen(erased, invite.Bounced, invite.AddressNotFound)
	scripted := w.Invite(tracktest.Options{User: "user-3", Content: &invite.Content{Recipient: invite.Recipient{Email: "bounced@connectlink.test"}}})
	w.happen(scripted, invite.Bounced, invite.AddressNotFound)
	if n := w.Count(`SELECT count(*) FROM suppressions`); n != 0 {
		t.Errorf("%d blocks", n)
	}
}

func TestLiftingABounceRemovesTheProvidersOwnEntry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{Content: &invite.Content{Recipient: invite.Recipient{Email: "pat+a/b@customer.example"}}})
	w.happen(m, invite.Bounced, invite.AddressNotFound)
	p := w.principal()
	list, _, err := w.List(t.Context(), p, suppress.Query{Limit: 5})
	if err != nil || len(list) != 1 || list[0].Recipient.Reveal() != "pat+a/b@customer.example" || list[0].InviteID != m.ID {
		t.Fatalf("%+v %v", list, err)
	}
	lift := func(answer int) (suppress.Suppression, error) {
		w.mu.Lock()
		w.answer, w.asked = answer, nil
		w.mu.Unlock()
		return w.Lift(context.WithoutCancel(t.Context()), p, list[0].ID, "It was right")
	}
	if _, err := lift(http.StatusServiceUnavailable); invite.CodeOf(err) != invite.CodeUnavailable {
		t.Errorf("while the provider is down: %v", err)
	}
	if got := w.blocked("default", invite.Email, "pat+a/b@customer.example"); len(got) != 1 {
		t.Error("lifted here though it stands at the provider")
	}
	got, err := lift(http.StatusNotFound) // on none of its lists any more
	if err != nil || got.LiftedAt == nil || got.ProviderKeeps {
		t.Fatalf("%+v %v", got, err)
	}
	want := []string{"DELETE /v3/suppression/bounces/pat+a%2Fb@customer.example", "DELETE /v3/suppression/invalid_emails/pat+a%2Fb@customer.example"}
	if diff := cmp.Diff(want, w.asked); diff != "" {
		t.Error(diff)
	}
	if got := w.blocked("default", invite.Email, "pat+a/b@customer.example"); len(got) != 0 {
		t.Errorf("still blocked: %v", got)
	}
}

// What became of the invite's next message blocks that message's address only:
// what is known of an earlier one, and was lifted since, is not noted again.
func TestALiftedBlockIsNotNotedAgainByTheNextMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	w.happen(m, invite.Bounced, invite.AddressNotFound)
	p := w.principal()
	list, _, err := w.List(t.Context(), p, suppress.Query{Limit: 5})
	if err != nil || len(list) != 1 || list[0].Channel != invite.Email {
		t.Fatalf("%+v %v", list, err)
	}
	if _, err := w.Lift(t.Context(), p, list[0].ID, "It was right"); err != nil {
		t.Fatal(err)
	}
	next := m
	next.Delivery = invite.New[invite.DeliveryID]()
	w.InTx(func(tx pgx.Tx) error {
		return ledger.InsertDelivery(t.Context(), tx, m.ID, ledger.Delivery{
			ID: next.Delivery, Number: 2, Channel: invite.SMS, Kind: "resend", Lane: invite.Place{Project: "default"}.Lane(invite.SMS),
		}, nil)
	})
	w.Append(m.ID, invite.Event{Type: invite.EventResent, Data: invite.Data{Channel: invite.SMS, HasLink: true}},
		invite.Event{Type: invite.EventDeliveryQueued, DeliveryID: next.Delivery, Data: invite.Data{Channel: invite.SMS}})
	w.happen(next, invite.Undelivered, invite.NumberUnknown)
	if diff := cmp.Diff([]invite.Block{invite.BadNumber}, w.blocked("default", invite.SMS, "+12025550100")); diff != "" {
		t.Errorf("the second message's address:\n%s", diff)
	}
	if got := w.blocked("default", invite.Email, "pat@customer.example"); len(got) != 0 {
		t.Errorf("the first message's address, lifted before, is blocked again: %v", got)
	}
}

func TestAKeyThatMayOnlySendLiftsOursAndSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.answer = http.StatusForbidden
	m := w.Invite(tracktest.Options{})
	w.happen(m, invite.Complained, invite.MarkedSpam)
	p := w.principal()
	list, _, err := w.List(t.Context(), p, suppress.Query{Kind: invite.SpamReport, Limit: 5})
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v %v", list, err)
	}
	got, err := w.Lift(t.Context(), p, list[0].ID, "A slip of the finger, by phone")
	if err != nil || !got.ProviderKeeps || got.LiftedAt == nil {
		t.Errorf("%+v %v", got, err)
	}
	other := p
	other.Project = "other"
	if _, err := w.Lift(t.Context(), other, list[0].ID, "x"); invite.CodeOf(err) != invite.CodeSuppressionNotFound {
		t.Errorf("by another project: %v", err)
	}
}

func TestABlockAndALiftAreAudited(t *testing.T) {
	t.Parallel()
	place := invite.Place{Project: "default"}
	for name, by := range map[string]access.Principal{
		"staff":      access.Staff(invite.New[invite.StaffID]().String(), access.RoleLead, place),
		"an API key": {Kind: access.KindKey, ID: invite.New[invite.KeyID]().String(), Place: place, Scopes: access.Scopes()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			added, fresh, err := w.Add(t.Context(), by, suppress.Add{Email: "pat@customer.example", Reason: "asked by phone"})
			if err != nil || !fresh {
				t.Fatalf("add: %t, %v", fresh, err)
			}
			if _, fresh, err = w.Add(t.Context(), by, suppress.Add{Email: "pat@customer.example", Reason: "again"}); err != nil || fresh {
				t.Fatalf("add again: %t, %v", fresh, err)
			}
			if _, err := w.Lift(t.Context(), by, added.ID, "asked again"); err != nil {
				t.Fatal(err)
			}
			if got, err := w.Service.Get(t.Context(), by, added.ID); err != nil || got.LiftedAt == nil {
				t.Errorf("after lifting it reads %+v, %v", got, err)
			}
			page, _, err := account.ListAudit(t.Context(), w.Pool, account.AuditFilter{Place: invite.Place{Project: "default"}, Limit: 10})
			if err != nil {
				t.Fatal(err)
			}
			var log []string
			for _, e := range page {
				log = append(log, e.Actor+" "+string(e.Act)+" "+e.Target)
			}
			if diff := cmp.Diff([]string{by.Actor() + " lift_block " + added.ID.String(), by.Actor() + " block " + added.ID.String()}, log); diff != "" {
				t.Error(diff)
			}
		})
	}
}
