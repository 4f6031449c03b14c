package sandbox_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/connectlink/connectlink/internal/sandbox"
)

// serveLinkPage gives the product a recipient's page like the real one's: a
// decoy form, the button's form with a hidden field, a way to report.
func (w *world) serveLinkPage(connectLink string) {
	w.product.mux.HandleFunc("GET /c/{code}", func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(rw, `<!doctype html><form method="get"><select name="lang"></select></form>
			<form method="post" action="/elsewhere"><button>Decoy</button></form>
			<form method="post"><input type="hidden" name="nonce" value="n-%s"><button>Continue</button></form>
			<a href="/c/%[1]s/not-me">This isn't for me</a>`, r.PathValue("code"))
	})
	w.product.mux.HandleFunc("POST /c/{code}", func(rw http.ResponseWriter, r *http.Request) {
		if r.FormValue("nonce") != "n-"+r.PathValue("code") {
			http.Error(rw, "the hidden field is missing", http.StatusBadRequest)
			return
		}
		http.Redirect(rw, r, connectLink, http.StatusSeeOther)
	})
	w.product.mux.HandleFunc("POST /c/{code}/seen", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusNoContent) })
	w.product.mux.HandleFunc("GET /c/{code}/not-me", func(rw http.ResponseWriter, r *http.Request) {
		fmt.Fprint(rw, `<form method="post"><input type="radio" name="why" value="wrong_person"><input type="radio" name="why" value="scam"><button>Send</button></form>`)
	})
	w.product.mux.HandleFunc("POST /c/{code}/not-me", func(rw http.ResponseWriter, r *http.Request) { fmt.Fprint(rw, "Thank you: "+r.FormValue("why")) })
	w.product.mux.HandleFunc("GET /done/{code}", func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, "Finishing") })
}

// steps lists what the product saw of its pages.
func (w *world) steps() string {
	var out []string
	for _, r := range append(w.product.requests("/c/"), w.product.requests("/done/")...) {
		out = append(out, r.Method+" "+r.Path)
	}
	return strings.Join(out, ", ")
}

func TestScriptedPeople(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, to string
		hook     string // the webhook that comes of it
		steps    string
	}{
		{"connect", "delivered+connect@connectlink.test", "CONNECTION_SUCCESS", "GET /c/abc, POST /c/abc/seen, POST /c/abc, GET /done/abc"},
		{"connect slowly", "delivered+connect+slow@connectlink.test", "CONNECTION_SUCCESS", "GET /c/abc, POST /c/abc/seen, POST /c/abc, GET /done/abc"},
		{"connect without receipts", "silent+connect@connectlink.test", "CONNECTION_SUCCESS", "GET /c/abc, POST /c/abc/seen, POST /c/abc, GET /done/abc"},
		{"by text", "+12025550111", "CONNECTION_SUCCESS", "GET /c/abc, POST /c/abc/seen, POST /c/abc, GET /done/abc"},
		{"deny", "delivered+deny@connectlink.test", "CONNECTION_ERROR", "GET /c/abc, POST /c/abc/seen, POST /c/abc, GET /done/abc"},
		{"fail upstream", "delivered+connecterror@connectlink.test", "CONNECTION_ERROR", "GET /c/abc, POST /c/abc/seen, POST /c/abc, GET /done/abc"},
		{"visit only", "delivered+visit@connectlink.test", "", "GET /c/abc, POST /c/abc/seen"},
		{"report", "delivered+notme@connectlink.test", "", "GET /c/abc, POST /c/abc/seen, GET /c/abc/not-me, POST /c/abc/not-me"},
		{"bounced people do nothing", "bounced+connect@connectlink.test", "", ""},
		{"a label is no journey", "delivered+team7@connectlink.test", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t).run()
			w.serveLinkPage(w.connectLink("user-1", "slack", map[string]any{
				"webhook_uri":          w.product.URL + "/hooks/pipedream/s",
				"success_redirect_uri": w.product.URL + "/done/abc?outcome=success",
				"error_redirect_uri":   w.product.URL + "/done/abc?outcome=error",
			}))
			body := "Connect: " + w.product.URL + "/c/abc. Thanks"
			if strings.HasPrefix(c.to, "+1") {
				w.text(c.to, body)
			} else {
				w.mail(c.to, body)
			}
			w.settled()
			if got := w.steps(); got != c.steps {
				t.Errorf("the product saw %q, want %q", got, c.steps)
			}
			hooks := w.product.requests("/hooks/pipedream/s")
			switch {
			case c.hook == "" && len(hooks) > 0, c.hook != "" && (len(hooks) != 1 || !strings.Contains(string(hooks[0].Body), `"`+c.hook+`"`)):
				t.Errorf("%d webhooks, want one %q", len(hooks), c.hook)
			}
			for _, r := range w.product.requests("/c/") {
				if !strings.Contains(r.Header.Get("User-Agent"), "Safari") {
					t.Errorf("%s %s as %q", r.Method, r.Path, r.Header.Get("User-Agent"))
				}
			}
		})
	}
}

// settled waits until nothing is left to happen.
func (w *world) settled() {
	w.t.Helper()
	eventually(w.t, "everything to have happened", func() bool {
		var open int
		err := w.pool.QueryRow(w.t.Context(), `SELECT (SELECT count(*) FROM sandbox.messages WHERE due_at IS NOT NULL)
			+ (SELECT count(*) FROM sandbox.events WHERE due_at IS NOT NULL) + (SELECT count(*) FROM sandbox.journeys WHERE due_at IS NOT NULL)`).Scan(&open)
		return err == nil && open == 0
	})
}

func TestPersonWithPipedreamsURLInTheMail(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	link := w.connectLink("user-1", "slack", map[string]any{"webhook_uri": w.product.URL + "/hooks/pipedream/s"})
	w.mail("delivered+connect@connectlink.test", "Connect: "+link)
	w.settled()
	if got := len(w.product.requests("/hooks/pipedream/s")); got != 1 || len(w.accounts("external_user_id=user-1")) != 1 {
		t.Errorf("%d webhooks, accounts %v", got, w.accounts(""))
	}
}

func TestScannersOnlyFetch(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	w.serveLinkPage("http://unused.example")
	w.mail("delivered+scanner@connectlink.test", "Connect: "+w.product.URL+"/c/abc")
	w.settled()
	agents := map[string]bool{}
	for _, r := range w.product.requests("/c/") {
		if r.Method != "GET" && r.Method != "HEAD" {
			t.Errorf("a scanner sent %s %s", r.Method, r.Path)
		}
		agents[r.Header.Get("User-Agent")] = true
	}
	if len(agents) != 5 {
		t.Errorf("%d robots came, want 5", len(agents))
	}
}

func TestPersonAsksForAFreshLinkOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var renewed atomic.Int32
	w.product.mux.HandleFunc("GET /c/old", func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(http.StatusGone)
		fmt.Fprint(rw, `<form method="post" action="/c/old/renew"><button>Email me a new link</button></form>`)
	})
	w.product.mux.HandleFunc("POST /c/old/seen", func(http.ResponseWriter, *http.Request) {})
	w.product.mux.HandleFunc("POST /c/old/renew", func(rw http.ResponseWriter, _ *http.Request) {
		renewed.Add(1)
		w.mail("delivered+renew@connectlink.test", "Fresh: "+w.product.URL+"/c/old")
		fmt.Fprint(rw, "Sent.")
	})
	w.run()
	w.mail("delivered+renew@connectlink.test", "Connect: "+w.product.URL+"/c/old")
	eventually(t, "the fresh mail", func() bool {
		m, err := w.Messages(t.Context(), sandbox.MessageFilter{})
		return err == nil && len(m) == 2
	})
	w.settled()
	if got := renewed.Load(); got != 1 {
		t.Errorf("asked %d times", got)
	}
}

func TestPersonIsPatientWithARestartingProduct(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serveLinkPage("http://unused.example")
	w.product.deny = 6 // callbacks and pages in the order of their arrival
	w.run()
	w.mail("delivered+visit@connectlink.test", "Connect: "+w.product.URL+"/c/abc")
	w.settled()
	if got := w.steps(); !strings.HasSuffix(got, "GET /c/abc, POST /c/abc/seen") {
		t.Errorf("the product saw %q", got)
	}
}

func TestPersonGivesUpOnAMailWithoutALink(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	w.mail("delivered+connect@connectlink.test", "No link here")
	w.settled()
	var note string
	if err := w.pool.QueryRow(t.Context(), `SELECT extra ->> 'note' FROM sandbox.events WHERE source = 'person'`).Scan(&note); err != nil || !strings.Contains(note, "no link") {
		t.Errorf("note = %q, %v", note, err)
	}
}
