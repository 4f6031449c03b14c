package twilio_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/provider/twilio"
)

// TestDoctorReadsTheMessagingService: an empty or foreign service is found before
// the first message is.
func TestDoctorReadsTheMessagingService(t *testing.T) {
	t.Parallel()
	own := `{"sid":"` + service + `","account_sid":"` + account + `","friendly_name":"Invites"}`
	for name, c := range map[string]struct {
		status                      int
		service, numbers, short, al string
		want                        string // a part of the error; empty: none
		mayNot                      bool
	}{
		"a number":             {service: own, numbers: `[{"sid":"PN1","capabilities":["Voice","SMS","MMS"]}]`},
		"a short code":         {service: own, short: `[{"sid":"SC1","capabilities":["SMS"]}]`},
		"an alphanumeric name": {service: own, al: `[{"sid":"AI1"}]`},
		"no sender":            {service: own, want: "has no sender"},
		"voice only":           {service: own, numbers: `[{"sid":"PN1","capabilities":["Voice"]}]`, want: "none of"},
		"none such":            {status: 404, service: `{"code":20404,"message":"not found","status":404}`, want: "no Messaging Service"},
		"another account's":    {service: `{"sid":"` + service + `","account_sid":"AC9"}`, want: "another account"},
		"a restricted key":     {status: 403, service: `{"code":70051,"message":"no","status":403}`, want: "may not read", mayNot: true},
		"an outage":            {status: 503, service: `{}`, want: "503"},
		"not Twilio":           {service: `<html>`, want: "not a Messaging Service"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list := func(member, items string) string {
				if items == "" {
					items = "[]"
				}
				return `{"` + member + `":` + items + `,"meta":{}}`
			}
			mux := http.NewServeMux()
			answer := func(path string, status int, body string) {
				mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
					if user, password, ok := r.BasicAuth(); !ok || user != apiKey || password != apiSecret {
						t.Errorf("%s as %q", r.URL.Path, user)
					}
					w.Header().Set("Content-Type", "application/json")
					w.WriteHeader(max(status, http.StatusOK))
					_, _ = w.Write([]byte(body))
				})
			}
			answer("/v1/Services/"+service, c.status, c.service)
			answer("/v1/Services/"+service+"/PhoneNumbers", 0, list("phone_numbers", c.numbers))
			answer("/v1/Services/"+service+"/ShortCodes", 0, list("short_codes", c.short))
			answer("/v1/Services/"+service+"/AlphaSenders", 0, list("alpha_senders", c.al))
			srv := httptest.NewServer(mux)
			t.Cleanup(srv.Close)
			err := twilio.New(params(srv.URL, nil)).CheckService(t.Context())
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || errors.Is(err, twilio.ErrMayNotRead) != c.mayNot {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	p := params("http://127.0.0.1:1", nil)
	p.MessagingServiceSID, p.From = "", "+15005550006"
	if err := twilio.New(p).CheckService(t.Context()); err != nil {
		t.Errorf("without a service: %v", err)
	}
}
