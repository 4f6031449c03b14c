package suppress_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/suppression"
	"github.com/connectlink/connectlink/internal/suppress"
	"github.com/connectlink/connectlink/internal/track/tracktest"
)

// A person who said STOP to one of a project's senders is not to be written to by
// the next one when the first fails; START to that sender undoes it.
func TestAnOptOutToOneSenderKeepsAllOfAProjectFromWriting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const phone, second = "+12025550123", "+15005550001"
	said := suppression.Scope{Place: invite.Place{Project: "default"}, Senders: []string{second}}
	both := suppression.Scope{Place: invite.Place{Project: "default"}, Senders: []string{sender, second}}
	if _, _, err := suppression.Insert(t.Context(), w.Pool, w.Box, said, suppression.New{
		Channel: invite.SMS, Kind: invite.OptOut, Address: secret.New(phone), Source: suppression.FromReply,
	}); err != nil {
		t.Fatal(err)
	}
	standing := func(s suppression.Scope) int {
		list, err := suppression.ListStanding(t.Context(), w.Pool, suppression.Keys(w.Box, s, invite.SMS, phone))
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	if n := standing(both); n != 1 {
		t.Errorf("%d blocks stand for a project with both senders", n)
	}
	if n := standing(suppression.Scope{Place: invite.Place{Project: "other"}, Senders: []string{sender}}); n != 0 {
		t.Errorf("%d blocks stand for a project without the sender", n)
	}
	other := suppression.Scope{Place: invite.Place{Project: "other"}, Senders: both.Senders}
	rows, _, err := suppression.List(t.Context(), w.Pool, suppression.Filter{Scope: other, Limit: 10})
	if err != nil || len(rows) != 1 || rows[0].Sender != second {
		t.Errorf("listed %+v, %v", rows, err)
	}
	if _, err := suppression.SetLifted(t.Context(), w.Pool, w.Box, suppression.Keys(w.Box, said, invite.SMS, phone), true, "START", secret.Text{}); err != nil {
		t.Fatal(err)
	}
	if n := standing(both); n != 0 {
		t.Errorf("%d blocks stand after START", n)
	}
}

// An opt-out and a block of the project's own stand beside each other, in either
// order of arrival: each has a lifting of its own.
func TestAnOptOutAndAnotherBlockStandBesideEachOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	scope := suppression.Scope{Place: invite.Place{Project: "default"}, Senders: []string{sender}}
	for phone, order := range map[string][]invite.Block{
		"+12025550123": {invite.BadNumber, invite.OptOut}, "+12025550124": {invite.OptOut, invite.BadNumber},
	} {
		ids := map[invite.SuppressionID]bool{}
		for _, kind := range append(order, order...) {
			id, fresh, err := suppression.Insert(t.Context(), w.Pool, w.Box, scope, suppression.New{
				Channel: invite.SMS, Kind: kind, Address: secret.New(phone), Source: suppression.FromReceipt,
			})
			if err != nil || fresh != (len(ids) < len(order)) {
				t.Errorf("%v, %s: new %t, %v", order, kind, fresh, err)
			}
			ids[id] = true
		}
		if diff := cmp.Diff([]invite.Block{invite.OptOut, invite.BadNumber}, w.blocked("default", invite.SMS, phone)); diff != "" || len(ids) != 2 {
			t.Errorf("%v: %d blocks stand\n%s", order, len(ids), diff)
		}
		if _, err := suppression.SetLifted(t.Context(), w.Pool, w.Box, suppression.Keys(w.Box, scope, invite.SMS, phone), false, "key_1", secret.Text{}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]invite.Block{invite.OptOut}, w.blocked("default", invite.SMS, phone)); diff != "" {
			t.Errorf("%v, with the number's own block lifted:\n%s", order, diff)
		}
	}
}

// Where a provider's report tells of an opt-out, it belongs to what that provider
// sends from.
func TestAnOptOutInAReportBelongsToTheSenderOfItsProvider(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(p *suppress.Params) {
		p.Senders = func(invite.Place) []string { return []string{sender, "+15005550001"} }
		p.SenderOf = func(name string, _ invite.Place) string { return map[string]string{"p": "+15005550001"}[name] }
	})
	m := w.Invite(tracktest.Options{Channel: invite.SMS})
	w.happen(m, invite.Rejected, invite.OptedOut)
	var from string
	if err := w.Pool.QueryRow(t.Context(), `SELECT sender FROM suppressions WHERE kind = 'opt_out'`).Scan(&from); err != nil || from != "+15005550001" {
		t.Errorf("the opt-out belongs to %q, %v", from, err)
	}
}
