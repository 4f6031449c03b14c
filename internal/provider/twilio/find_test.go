package twilio_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/provider/providertest"
	"github.com/connectlink/connectlink/internal/provider/twilio"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/wire/wiretest"
)

type listed struct {
	sid, body, direction, status string
	created                      time.Time
}

func (l listed) json() map[string]any {
	if l.direction == "" {
		l.direction = "outbound-api"
	}
	return map[string]any{
		"sid": l.sid, "body": l.body, "direction": l.direction, "status": l.status, "to": "+12025550001",
		"date_created": l.created.UTC().Format(time.RFC1123Z), "date_sent": nil, "error_code": nil,
	}
}

// list serves pages of messages as Twilio does.
func list(t testing.TB, serverDate time.Time, pages ...[]listed) *wiretest.Server {
	var srv *wiretest.Server
	srv = wiretest.Twilio(t).Serve(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("To") != "+12025550001" || q.Get("DateSent") != "" || q.Get("DateSent>") != "" {
			t.Errorf("query %q, want the recipient and no date", r.URL.RawQuery)
		}
		n := 0
		_, _ = fmt.Sscanf(q.Get("PageToken"), "PA%d", &n)
		body := map[string]any{"messages": []any{}, "page": n, "page_size": 100, "next_page_uri": nil}
		var rows []any
		for _, l := range pages[n] {
			rows = append(rows, l.json())
		}
		if rows != nil {
			body["messages"] = rows
		}
		if n+1 < len(pages) {
			body["next_page_uri"] = fmt.Sprintf("/2010-04-01/Accounts/%s/Messages.json?To=%s&PageSize=100&Page=%d&PageToken=PA%d",
				account, url.QueryEscape(q.Get("To")), n+1, n+1)
		}
		w.Header().Set("Date", serverDate.UTC().Format(http.TimeFormat))
		answer(w, http.StatusOK, body)
	})
	return srv
}

func TestFindAdoptsOnlyThisText(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	started := now.Add(-2 * time.Minute)
	body := providertest.Text(1).Reveal()
	mine := listed{sid: isSID(9), body: body, status: "delivered", created: started.Add(time.Second)}
	with := func(change func(*listed)) []listed {
		l := mine
		change(&l)
		return []listed{l}
	}
	full := make([]listed, 100)
	for i := range full {
		full[i] = listed{sid: isSID(100 + i), body: "another", created: started.Add(time.Minute)}
	}
	old := make([]listed, 100)
	for i := range old {
		old[i] = listed{sid: isSID(300 + i), body: body, created: started.Add(-time.Hour)}
	}
	for name, c := range map[string]struct {
		date      time.Time
		pages     [][]listed
		want      provider.Found
		pagesRead int
	}{
		"found":                        {now, [][]listed{{mine}}, provider.Found{Taken: true, ProviderMessageID: isSID(9), Status: "delivered"}, 1},
		"nothing was taken":            {now, [][]listed{{}}, provider.Found{}, 1},
		"on the third page":            {now, [][]listed{full, full, {mine}}, provider.Found{Taken: true, ProviderMessageID: isSID(9), Status: "delivered"}, 3},
		"pages of old ones end it":     {now, [][]listed{full, old, {mine}}, provider.Found{}, 2},
		"another link":                 {now, [][]listed{with(func(l *listed) { l.body = providertest.Text(2).Reveal() })}, provider.Found{}, 1},
		"a longer code, same start":    {now, [][]listed{with(func(l *listed) { l.body += "9" })}, provider.Found{}, 1},
		"a trial account's preface":    {now, [][]listed{with(func(l *listed) { l.body = "Sent from your Twilio trial account - " + l.body })}, provider.Found{Taken: true, ProviderMessageID: isSID(9), Status: "delivered"}, 1},
		"smart encoding":               {now, [][]listed{with(func(l *listed) { l.body = l.body + " \"ok\"" })}, provider.Found{Taken: true, ProviderMessageID: isSID(9), Status: "delivered"}, 1},
		"the earlier attempt's":        {now, [][]listed{with(func(l *listed) { l.created = started.Add(-10 * time.Second) })}, provider.Found{}, 1},
		"the person's answer":          {now, [][]listed{with(func(l *listed) { l.direction = "inbound" })}, provider.Found{}, 1},
		"Twilio's clock is behind":     {now.Add(-5 * time.Minute), [][]listed{with(func(l *listed) { l.created = l.created.Add(-5 * time.Minute) })}, provider.Found{Taken: true, ProviderMessageID: isSID(9), Status: "delivered"}, 1},
		"ahead, the earlier attempt's": {now.Add(5 * time.Minute), [][]listed{with(func(l *listed) { l.created = started.Add(4 * time.Minute) })}, provider.Found{}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := list(t, c.date, c.pages...)
			p := params(srv.URL, nil)
			p.Now = func() time.Time { return now }
			got, err := twilio.New(p).Find(t.Context(), provider.Sought{
				AttemptID: "att_1", To: secret.New("+12025550001"), Body: secret.New(body), StartedAt: started,
			})
			if err != nil || got != c.want {
				t.Errorf("%+v %v, want %+v", got, err, c.want)
			}
			if n := len(srv.Requests()); n != c.pagesRead {
				t.Errorf("%d pages were read, want %d", n, c.pagesRead)
			}
		})
	}
}

// An answer that proves nothing must not read as "not taken".
func TestFindSaysNothingRatherThanNo(t *testing.T) {
	t.Parallel()
	sought := provider.Sought{To: secret.New("+12025550001"), Body: providertest.Text(1), StartedAt: time.Now()}
	full := make([]listed, 100)
	for i := range full {
		full[i] = listed{sid: isSID(i), body: "another", created: time.Now()}
	}
	endless := make([][]listed, 12)
	for i := range endless {
		endless[i] = full
	}
	if _, err := twilio.New(params(list(t, time.Now(), endless...).URL, nil)).Find(t.Context(), sought); !errors.Is(err, twilio.ErrTooMany) {
		t.Errorf("endless list: %v", err)
	}
	failing := wiretest.Twilio(t).Serve(t, func(w http.ResponseWriter, _ *http.Request) { refuse(w, 503, 20503, "down") })
	html := wiretest.Twilio(t).Serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) })
	other := wiretest.Twilio(t).Serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, map[string]any{}) })
	for name, u := range map[string]string{
		"other JSON": other.URL,
		"down":       failing.URL, "a page instead": html.URL, "nobody": wiretest.Refusing(t), "cut": wiretest.Ending(t, wiretest.EOF).URL,
	} {
		if got, err := twilio.New(params(u, nil)).Find(t.Context(), sought); err == nil {
			t.Errorf("%s: %+v without an error", name, got)
		}
	}
	sought.Body = secret.Text{}
	if _, err := twilio.New(params(failing.URL, nil)).Find(t.Context(), sought); err == nil {
		t.Error("looking for an empty text matched nothing and said so")
	}
}
