package app_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"
)

// TestAReportTakenBackLeavesNoSuppression: a report suppresses the address whether or not the
// person asks for it, and taking it back lifts that, but not a suppression from before.
func TestAReportTakenBackLeavesNoSuppression(t *testing.T) {
	t.Parallel()
	p := start(t, boot{})
	db, err := pgx.Connect(t.Context(), p.db)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(t.Context()) }()
	standing := func(when string, want int) {
		t.Helper()
		var n int
		if err := db.QueryRow(t.Context(), `SELECT count(*) FROM suppressions WHERE lifted_at IS NULL`).Scan(&n); err != nil || n != want {
			t.Errorf("%s: %d suppressions, want %d (%v)", when, n, want, err)
		}
	}
	for _, asked := range []string{"", "1"} {
		made := p.invite(http.StatusCreated, to("pat"+asked+"@customer.example"))
		p.until(made.text("id"), "sent", func(inv object) bool {
			return inv.text("delivery.status") == "sent" || inv.text("delivery.status") == "delivered"
		})
		person, link := &walk{http: p.http, browser: matrixBrowsers()[0]}, made.text("invite_link.url")
		form := url.Values{"from": {"page"}, "js": {"1"}, "g": {"1"}, "why": {"wrong_person"}}
		if asked != "" {
			form.Set("suppress", asked)
		}
		if err := person.send(http.MethodPost, link+"/not-me", form); err != nil || person.at != "thanks" {
			t.Fatalf("the report: page %q, %v", person.at, err)
		}
		standing("after the report", 1)
		person.takeBack(t, link)
		standing("after taking it back", 0)
	}
}
