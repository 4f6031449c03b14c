package visit_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/track/tracktest"
	"github.com/connectlink/connectlink/internal/visit"
)

func TestDoneConfirmsBeforeItSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{Content: &invite.Content{ReturnURL: "https://product.example/back?a=1#top"}})
	w.press(m.Code)
	page, err := w.Done(t.Context(), m.Code, visit.Succeeded)
	if err != nil || page.State != visit.Finishing {
		t.Fatalf("unconfirmed: page %s, %v", page.State, err)
	}
	w.confirm = func(context.Context, invite.ID) (bool, error) { return false, errors.New("Pipedream is down") }
	if page, err = w.Done(t.Context(), m.Code, visit.Succeeded); err != nil || page.State != visit.Finishing {
		t.Fatalf("during an outage: page %s, %v", page.State, err)
	}
	w.confirm = func(_ context.Context, id invite.ID) (bool, error) {
		w.Append(id, invite.Event{Type: invite.EventConnected, Data: invite.Data{AccountID: "apn_1"}})
		sealed, err := w.Box.Seal([]byte("Acme"), seal.AD{Column: "invites.account_name", ID: id.UUID()})
		if err != nil {
			return false, err
		}
		w.InTx(func(tx pgx.Tx) error { return ledger.SetAccountName(t.Context(), tx, id, sealed) })
		return true, nil
	}
	page, err = w.Done(t.Context(), m.Code, visit.Succeeded)
	if err != nil || page.State != visit.Connected || page.AccountName != "Acme" {
		t.Fatalf("confirmed: page %s, account %q, %v", page.State, page.AccountName, err)
	}
	want := "https://product.example/back?a=1&invite=" + m.ID.String() + "&status=connected#top"
	if got, custom := page.ReturnURL(visit.ReturnConnected); got != want || custom {
		t.Errorf("return to %s, custom %t", got, custom)
	}
	// The name is for who just connected it.
	if p := w.open(m.Code); p.AccountName != "" {
		t.Error("the invite link's own page names the account")
	}
	w.Exec(`UPDATE invites SET connected_at = now() - interval '11 minutes'`)
	if p, _ := w.Done(t.Context(), m.Code, visit.Succeeded); p.AccountName != "" || p.State != visit.Connected {
		t.Errorf("after eleven minutes: page %s, account %q", p.State, p.AccountName)
	}
	if p, _ := w.Done(t.Context(), m.Code, visit.Errored); p.State != visit.Connected {
		t.Errorf("a hint of an error made a connected invite's page %s", p.State)
	}
}

func TestReturnURLs(t *testing.T) {
	t.Parallel()
	id := invite.New[invite.ID]()
	tail := "invite=" + id.String() + "&status=failed"
	for url, want := range map[string]struct {
		target string
		custom bool
	}{
		"":                                   {},
		"https://a.example":                  {"https://a.example?" + tail, false},
		"https://a.example/x?y=%20z":         {"https://a.example/x?y=%20z&" + tail, false},
		"myapp://done":                       {"myapp://done?" + tail, true},
		"com.example.app:/oauth?x=1":         {"com.example.app:/oauth?x=1&" + tail, true},
		"javascript:alert(1)":                {},
		"JavaScript://a.example/%0aalert(1)": {},
		"data:text/html,x":                   {},
		"http://a.example":                   {},
		"//a.example":                        {},
		"https://user:pw@a.example":          {},
		"https:a.example":                    {},
		"\x00":                               {},
	} {
		p := visit.Page{InviteID: id, Content: invite.Content{ReturnURL: url}}
		got, custom := p.ReturnURL(visit.ReturnFailed)
		if got != want.target || custom != want.custom {
			t.Errorf("%q: %q, %t; want %q, %t", url, got, custom, want.target, want.custom)
		}
	}
}
