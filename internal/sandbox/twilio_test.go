package sandbox_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/sandbox"
)

func TestTwilioTakesATextAndTellsOfIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.text("+12025550100", "Northwind: connect https://go.example/c/abc STOP to opt out")
	js := a.json(t)
	if a.Status != http.StatusCreated || js["status"] != "accepted" || js["from"] != nil || js["num_segments"] != "0" {
		t.Fatalf("send: %d %s", a.Status, a.Body)
	}
	sid := js["sid"].(string)
	one := w.call("GET", w.twilioURL("/Messages/"+sid+".json"), nil, "Authorization", w.basic()).json(t)
	if one["body"] != js["body"] || one["to"] != "+12025550100" {
		t.Errorf("GET one = %v", one)
	}
	plain := w.text("+12025550100", "x", func(f url.Values) { f.Del("MessagingServiceSid"); f.Set("From", w.cred.TwilioFrom) }).json(t)
	if plain["status"] != "queued" || plain["from"] != w.cred.TwilioFrom || plain["num_segments"] != "1" {
		t.Errorf("without a service: %v", plain)
	}
	m, err := w.Messages(t.Context(), sandbox.MessageFilter{To: "+12025550100"})
	if err != nil || len(m) != 2 || m[1].InviteID != "inv_2" || m[1].AttemptID != "att_2" {
		t.Errorf("inbox = %+v, %v", m, err)
	}
	if got := w.call("GET", w.twilioURL(".json"), nil, "Authorization", w.basic()).json(t)["status"]; got != "active" {
		t.Errorf("account status = %v", got)
	}
}

func TestTwilioRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	set := func(k, v string) func(url.Values) { return func(f url.Values) { f.Set(k, v) } }
	del := func(k string) func(url.Values) { return func(f url.Values) { f.Del(k) } }
	for name, c := range map[string]struct {
		code   float64
		change func(url.Values)
	}{
		"no recipient":                    {21604, del("To")},
		"a number without plus":           {21211, set("To", "12025550100")},
		"a number too short":              {21211, set("To", "+1202")},
		"no sender":                       {21603, del("MessagingServiceSid")},
		"a stranger's number as sender":   {21606, set("From", "+12025550199")},
		"no body":                         {21602, del("Body")},
		"1601 characters":                 {21617, set("Body", strings.Repeat("é", 1601))},
		"a validity of nothing":           {21624, set("ValidityPeriod", "0")},
		"a validity over ten hours":       {21624, set("ValidityPeriod", "36001")},
		"an underscore in the callback":   {21609, set("StatusCallback", "https://my_host.example/x")},
		"a callback that is no URL":       {21609, set("StatusCallback", "x")},
		"Twilio's invalid number":         {21211, set("To", "+15005550001")},
		"Twilio's unroutable number":      {21612, set("To", "+15005550002")},
		"Twilio's forbidden country":      {21408, set("To", "+15005550003")},
		"Twilio's number that opted out":  {21610, set("To", "+15005550004")},
		"Twilio's number for no messages": {21614, set("To", "+15005550009")},
	} {
		a := w.text("+12025550100", "x", c.change)
		js := a.json(t)
		if a.Status != 400 || js["code"] != c.code || js["status"] != 400.0 || js["message"] == "" || js["more_info"] == "" {
			t.Errorf("%s: %d %s, want %v", name, a.Status, a.Body, c.code)
		}
	}
	for name, auth := range map[string]string{"nobody": "", "a wrong secret": "Basic " + base64.StdEncoding.EncodeToString([]byte(w.cred.TwilioAPIKey+":x"))} {
		a := w.call("POST", w.twilioURL("/Messages.json"), strings.NewReader("To=x"), "Authorization", auth, "Content-Type", "application/x-www-form-urlencoded")
		if a.Status != 401 || a.json(t)["code"] != 20003.0 {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	if l, err := w.Ledger(t.Context()); err != nil || l.Messages != 0 {
		t.Errorf("refused texts were taken: %+v, %v", l, err)
	}
}

// statuses verifies and lists the statuses posted for one attempt.
func (w *world) statuses(attempt string) []url.Values {
	w.t.Helper()
	var out []url.Values
	for _, r := range w.product.requests("/hooks/twilio/status/default/test/inv_2/" + attempt) {
		form, err := url.ParseQuery(string(r.Body))
		if err != nil {
			w.t.Fatal(err)
		}
		keys := make([]string, 0, len(form))
		for k := range form {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		signed := r.URL
		for _, k := range keys {
			signed += k + form.Get(k)
		}
		mac := hmac.New(sha1.New, []byte(w.cred.TwilioAuthToken.Reveal()))
		mac.Write([]byte(signed))
		if got, want := r.Header.Get("X-Twilio-Signature"), base64.StdEncoding.EncodeToString(mac.Sum(nil)); got != want {
			w.t.Errorf("X-Twilio-Signature = %s, want %s", got, want)
		}
		if strings.Contains(r.URL, "#") {
			w.t.Error("the fragment was sent")
		}
		out = append(out, form)
	}
	return out
}

func TestTextFates(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	for number, c := range map[string]struct{ last, code string }{
		"+12025550100": {"delivered", ""}, "+4915112345678": {"delivered", ""},
		"+12025550103": {"undelivered", "30003"}, "+12025550105": {"undelivered", "30005"},
		"+12025550106": {"undelivered", "30006"}, "+12025550107": {"undelivered", "30007"},
	} {
		t.Run(number, func(t *testing.T) {
			t.Parallel()
			attempt := "att_" + number[1:]
			sid := w.text(number, "x", func(f url.Values) {
				f.Set("StatusCallback", w.product.URL+"/hooks/twilio/status/default/test/inv_2/"+attempt+"#rc=5&rp=all")
			}).json(t)["sid"]
			eventually(t, "two statuses", func() bool { return len(w.statuses(attempt)) >= 2 })
			got := w.statuses(attempt)
			first, last := got[0], got[1]
			if first.Get("MessageStatus") != "sent" || last.Get("MessageStatus") != c.last || last.Get("SmsStatus") != c.last ||
				last.Get("ErrorCode") != c.code || last.Get("MessageSid") != sid || last.Get("To") != number ||
				last.Get("AccountSid") != w.cred.TwilioAccountSID || last.Get("MessagingServiceSid") == "" {
				t.Errorf("statuses = %v", got)
			}
		})
	}
}

func TestSilentTextEndsAsSentWithoutCallback(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	sid := w.text("+12025550108", "x").json(t)["sid"].(string)
	eventually(t, "the status on asking", func() bool {
		return w.call("GET", w.twilioURL("/Messages/"+sid+".json"), nil, "Authorization", w.basic()).json(t)["status"] == "sent"
	})
	if got := w.product.requests("/hooks/twilio"); len(got) != 0 {
		t.Errorf("%d callbacks came", len(got))
	}
}

func TestStopIsHonouredFromThenOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	if a := w.text("+12025550110", "x"); a.Status != 201 {
		t.Fatalf("first text: %d", a.Status)
	}
	eventually(t, "the opt-out", func() bool {
		a := w.text("+12025550110", "x")
		return a.Status == 400 && a.json(t)["code"] == 21610.0
	})
}

func TestTwilioListsByRecipientInPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, to := range []string{"+12025550100", "+12025550101", "+12025550100", "+12025550100"} {
		w.text(to, "x")
	}
	next := w.twilioURL("/Messages.json") + "?" + url.Values{"To": {"+12025550100"}, "PageSize": {"2"}}.Encode()
	var sids []string
	for pages := 0; next != ""; pages++ {
		if pages == 1 {
			w.text("+12025550100", "came meanwhile") // must not shift the second page
		}
		page := w.call("GET", next, nil, "Authorization", w.basic()).json(t)
		for _, m := range page["messages"].([]any) {
			sids = append(sids, m.(map[string]any)["sid"].(string))
		}
		uri, _ := page["next_page_uri"].(string)
		next = ""
		if uri != "" {
			next = w.vendors.URL + "/twilio" + uri
		}
	}
	if len(sids) != 3 || sids[0] < sids[2] {
		t.Errorf("listed %v, want three, newest first", sids)
	}
	if len(slices.Compact(slices.Sorted(slices.Values(sids)))) != len(sids) {
		t.Errorf("a message was listed twice: %v", sids)
	}
}

func TestTwilioRedactsAndDeletes(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	sid := w.text("+12025550100", "secret link").json(t)["sid"].(string)
	at := w.twilioURL("/Messages/" + sid + ".json")
	eventually(t, "delivery", func() bool {
		return w.call("GET", at, nil, "Authorization", w.basic()).json(t)["status"] == "delivered"
	})
	a := w.call("POST", at, strings.NewReader("Body="), "Authorization", w.basic(), "Content-Type", "application/x-www-form-urlencoded")
	if a.Status != 200 || a.json(t)["body"] != "" {
		t.Fatalf("redact: %d %s", a.Status, a.Body)
	}
	if got := w.call("GET", at, nil, "Authorization", w.basic()).json(t)["body"]; got != "" {
		t.Errorf("body after redaction = %v", got)
	}
	if a := w.call("DELETE", at, nil, "Authorization", w.basic()); a.Status != 204 {
		t.Errorf("delete: %d", a.Status)
	}
	if a := w.call("GET", at, nil, "Authorization", w.basic()); a.Status != 404 {
		t.Errorf("GET after delete: %d", a.Status)
	}
	if l, err := w.Ledger(t.Context()); err != nil || l.Messages != 1 || l.Attempts["att_2"] != 1 {
		t.Errorf("the ledger forgot it: %+v, %v", l, err)
	}
}

func TestStatusRetriesFollowTheFragment(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fragment string
		posts    int // for two statuses, the product always failing
	}{
		"asked for":  {"#rc=2&rp=5xx", 6},
		"by default": {"", 2}, // a 500 is not retried
		"other kind": {"#rc=5&rp=4xx", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.product.deny = 1000
			w.run()
			w.text("+12025550100", "x", func(f url.Values) {
				f.Set("StatusCallback", w.product.URL+"/hooks/twilio/status/default/test/inv_2/att_2"+c.fragment)
			})
			eventually(t, "the retries to be over", func() bool {
				var made, open int
				err := w.pool.QueryRow(t.Context(), `SELECT count(*), count(*) FILTER (WHERE due_at IS NOT NULL) FROM sandbox.events`).Scan(&made, &open)
				return err == nil && made == 2 && open == 0
			})
			got := w.statuses("att_2")
			if len(got) != c.posts {
				t.Errorf("%d posts, want %d", len(got), c.posts)
			}
		})
	}
}
