package twilio_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/provider/providertest"
	"github.com/connectlink/connectlink/internal/provider/twilio"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/wire/wiretest"
)

const (
	account   = "AC0123456789abcdef0123456789abcdef"
	service   = "MG0123456789abcdef0123456789abcdef"
	apiKey    = "SK0123456789abcdef0123456789abcdef"
	apiSecret = "keysecret0123456789"
	authToken = "authtoken0123456789"
)

func params(baseURL string, client *http.Client) twilio.Params {
	return twilio.Params{
		BaseURL: baseURL, AccountSID: account, APIKey: apiKey, APISecret: secret.New(apiSecret),
		MessagingServiceSID: service, HTTP: client,
	}
}

func sms(n int) message.Outgoing {
	return message.Outgoing{
		InviteID: fmt.Sprintf("inv_%026d", n), AttemptID: fmt.Sprintf("att_%026d", n), Livemode: true,
		SMS:         &message.SMS{To: secret.New(fmt.Sprintf("+1202555%04d", n)), Body: providertest.Text(n), Segments: 1},
		CallbackURL: fmt.Sprintf("https://go.brand.example/hooks/twilio/status/default/live/inv_%026d/att_%026d", n, n),
		ValidFor:    time.Hour,
	}
}

func isSID(n int) string { return fmt.Sprintf("SM%032x", n) }

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status, code int, words string) {
	answer(w, status, map[string]any{"code": code, "message": words, "more_info": "https://www.twilio.com/docs/errors/1", "status": status})
}

func form(t testing.TB, r wiretest.Request) url.Values {
	t.Helper()
	v, err := url.ParseQuery(string(r.Body))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSenderConforms(t *testing.T) {
	t.Parallel()
	providertest.Run(t, providertest.Harness{
		Spec:    wiretest.Twilio(t),
		New:     func(u string, c *http.Client) providertest.Sender { return twilio.New(params(u, c)) },
		Message: sms,
		Accept: func(w http.ResponseWriter, id string) {
			answer(w, http.StatusCreated, map[string]any{
				"sid": id, "status": "accepted", "num_segments": "0", "from": nil, "error_code": nil,
				"date_created": "Mon, 23 Nov 2026 10:00:00 +0000",
			})
		},
		Refuse: func(w http.ResponseWriter, status int, words string) { refuse(w, status, 0, words) },
		Read: func(t testing.TB, r wiretest.Request) (string, string, string) {
			user, password, _ := (&http.Request{Header: r.Header}).BasicAuth()
			if user != apiKey || password != apiSecret {
				t.Errorf("credentials %q %q, want the API key's", user, password)
			}
			f := form(t, r)
			callback := f.Get("StatusCallback")
			return f.Get("To"), f.Get("Body"), strings.TrimSuffix(callback[strings.LastIndex(callback, "/")+1:], "#rc=5&rp=all")
		},
		Secrets: []string{apiSecret, authToken},
	})
}

func TestParametersOfAText(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*twilio.Params, *message.Outgoing)
		want   map[string]string // besides To, Body and SmartEncoded
	}{
		"usual": {func(*twilio.Params, *message.Outgoing) {}, map[string]string{
			"MessagingServiceSid": service, "ValidityPeriod": "3600", "StatusCallback": sms(1).CallbackURL + "#rc=5&rp=all"}},
		"by a number, nobody to call back": {func(p *twilio.Params, m *message.Outgoing) {
			p.MessagingServiceSID, p.From, m.CallbackURL = "", "+12025550111", ""
		}, map[string]string{"From": "+12025550111", "ValidityPeriod": "3600"}},
		"a service goes before a number": {func(p *twilio.Params, m *message.Outgoing) {
			p.From, m.CallbackURL = "+12025550111", ""
		}, map[string]string{"MessagingServiceSid": service, "ValidityPeriod": "3600"}},
		"thirty days": {func(_ *twilio.Params, m *message.Outgoing) { m.ValidFor, m.CallbackURL = 720*time.Hour, "" },
			map[string]string{"MessagingServiceSid": service, "ValidityPeriod": "36000"}},
		"a second": {func(_ *twilio.Params, m *message.Outgoing) { m.ValidFor, m.CallbackURL = time.Second, "" },
			map[string]string{"MessagingServiceSid": service, "ValidityPeriod": "6"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := wiretest.Twilio(t).Serve(t, func(w http.ResponseWriter, _ *http.Request) {
				answer(w, http.StatusCreated, map[string]any{"sid": isSID(1)})
			})
			p, m := params(srv.URL, nil), sms(1)
			c.change(&p, &m)
			if _, err := twilio.New(p).Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			c.want["To"], c.want["Body"], c.want["SmartEncoded"] = "+12025550001", m.SMS.Body.Reveal(), "true"
			got := map[string]string{}
			for k, v := range form(t, srv.Requests()[0]) {
				got[k] = strings.Join(v, "|")
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("parameters (-want +got):\n%s", d)
			}
			if path := srv.Requests()[0].Path; path != "/2010-04-01/Accounts/"+account+"/Messages.json" {
				t.Errorf("path %q", path)
			}
		})
	}
}

func TestWithoutAnAPIKeyTheAuthTokenIsUsed(t *testing.T) {
	t.Parallel()
	srv := wiretest.Twilio(t).Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != account || password != authToken {
			t.Errorf("credentials %q %q", user, password)
		}
		answer(w, http.StatusOK, map[string]any{"sid": account, "status": "active"})
	})
	p := params(srv.URL, nil)
	p.APIKey, p.AuthToken = "", secret.New(authToken)
	if err := twilio.New(p).Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestCodesOfRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status, code int
		outcome      provider.Outcome
		scope        provider.Scope
		reason       invite.Reason
	}{
		{400, 21211, provider.Refused, provider.ScopeMessage, invite.InvalidNumber},
		{400, 21408, provider.Refused, provider.ScopeMessage, invite.CountryNotEnabled},
		{400, 21610, provider.Refused, provider.ScopeMessage, invite.OptedOut},
		{400, 21614, provider.Refused, provider.ScopeMessage, invite.Landline},
		{400, 21612, provider.Refused, provider.ScopeMessage, invite.CountryNotEnabled},
		{400, 21606, provider.Refused, provider.ScopeAccount, invite.ProviderAccount},
		{400, 21663, provider.Refused, provider.ScopeAccount, invite.ProviderAccount},
		{400, 21617, provider.Refused, provider.ScopeMessage, invite.MessageBroken},
		{400, 99999, provider.Refused, provider.ScopeMessage, invite.ProviderRefused},
		{400, 21611, provider.NotSent, provider.ScopeAccount, invite.ProviderDown},
		{401, 20003, provider.Refused, provider.ScopeAccount, invite.ProviderAccount},
		{403, 21610, provider.Refused, provider.ScopeMessage, invite.OptedOut},
		{403, 30450, provider.Refused, provider.ScopeMessage, invite.CarrierFiltered},
		{404, 20404, provider.Refused, provider.ScopeAccount, invite.ProviderAccount},
		{429, 20429, provider.NotSent, provider.ScopeAccount, invite.ProviderDown},
		{500, 20500, provider.Unknown, provider.ScopeMessage, invite.OutcomeUnknown},
		{503, 20429, provider.Unknown, provider.ScopeMessage, invite.OutcomeUnknown},
	} {
		t.Run(fmt.Sprint(c.status, " ", c.code), func(t *testing.T) {
			t.Parallel()
			srv := wiretest.Twilio(t).Serve(t, func(w http.ResponseWriter, _ *http.Request) { refuse(w, c.status, c.code, "words") })
			_, err := twilio.New(params(srv.URL, nil)).Send(t.Context(), sms(1))
			se, ok := err.(*provider.SendError)
			if !ok || se.Outcome != c.outcome || se.Scope != c.scope || se.Reason != c.reason || se.ProviderCode != fmt.Sprint(c.code) {
				t.Errorf("%v, scope %q, reason %q; want %+v", err, se.Scope, se.Reason, c)
			}
		})
	}
}

// The message exists and its name is lost: to call it sent would lose its
// callbacks' and redaction's handle, to call it not sent would send it twice.
func TestTakenWithoutASIDIsUnknown(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"cut": "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{\"sid\":\"SM",
		"no":  "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
	} {
		raw := wiretest.Ending(t, wiretest.Cut(body))
		_, err := twilio.New(params(raw.URL, nil)).Send(t.Context(), sms(1))
		if se, ok := err.(*provider.SendError); !ok || se.Outcome != provider.Unknown || se.HTTPStatus != http.StatusCreated {
			t.Errorf("%s: %v, want unknown with status 201", name, err)
		}
	}
}

// The SDK's constructors read TWILIO_EDGE and TWILIO_REGION, which would send
// messages of one region's account to another.
func TestTheEnvironmentDoesNotMoveTheRegion(t *testing.T) {
	t.Setenv("TWILIO_EDGE", "sydney")
	t.Setenv("TWILIO_REGION", "au1")
	srv := wiretest.Twilio(t).Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusCreated, map[string]any{"sid": isSID(1)})
	})
	if _, err := twilio.New(params(srv.URL, nil)).Send(t.Context(), sms(1)); err != nil {
		t.Error(err)
	}
}

func TestRedactEmptiesTheBody(t *testing.T) {
	t.Parallel()
	for status, ok := range map[int]bool{200: true, 404: true, 401: false, 500: false} {
		srv := wiretest.Twilio(t).Serve(t, func(w http.ResponseWriter, _ *http.Request) {
			if status != 200 {
				refuse(w, status, 20404, "words")
				return
			}
			answer(w, status, map[string]any{"sid": isSID(1), "body": ""})
		})
		if err := twilio.New(params(srv.URL, nil)).Redact(t.Context(), isSID(1)); (err == nil) != ok {
			t.Errorf("status %d: %v", status, err)
		}
		got := srv.Requests()[0]
		if got.Method != http.MethodPost || !strings.HasSuffix(got.Path, "/Messages/"+isSID(1)+".json") || string(got.Body) != "Body=" {
			t.Errorf("%s %s with %q, want an empty body posted to the message", got.Method, got.Path, got.Body)
		}
	}
	for _, bad := range []string{"", "../Accounts", "SM1/../x", strings.Repeat("a", 65)} {
		if err := twilio.New(params(wiretest.Refusing(t), nil)).Redact(t.Context(), bad); err == nil || strings.Contains(err.Error(), "dial") {
			t.Errorf("Redact(%q): %v, want it refused here", bad, err)
		}
	}
}

func TestRemoveDeletesTheRecord(t *testing.T) {
	t.Parallel()
	for status, ok := range map[int]bool{204: true, 404: true, 401: false, 409: false, 500: false} {
		srv := wiretest.Twilio(t).Serve(t, func(w http.ResponseWriter, _ *http.Request) {
			if status != 204 {
				refuse(w, status, 20009, "words")
				return
			}
			w.WriteHeader(status)
		})
		if err := twilio.New(params(srv.URL, nil)).Remove(t.Context(), isSID(1)); (err == nil) != ok {
			t.Errorf("status %d: %v", status, err)
		}
		got := srv.Requests()[0]
		if got.Method != http.MethodDelete || !strings.HasSuffix(got.Path, "/Messages/"+isSID(1)+".json") || len(got.Body) > 0 {
			t.Errorf("%s %s with %q, want the message deleted", got.Method, got.Path, got.Body)
		}
	}
	if err := twilio.New(params(wiretest.Refusing(t), nil)).Remove(t.Context(), "../Accounts"); err == nil || strings.Contains(err.Error(), "dial") {
		t.Errorf("%v, want it refused here", err)
	}
}

func TestCheckReadsTheAccount(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		state  string
		ok     bool
	}{
		"active": {200, "active", true}, "suspended": {200, "suspended", false}, "wrong key": {401, "", false},
	} {
		srv := wiretest.Twilio(t).Serve(t, func(w http.ResponseWriter, _ *http.Request) {
			if c.status != 200 {
				refuse(w, c.status, 20003, "Authenticate")
				return
			}
			answer(w, 200, map[string]any{"sid": account, "status": c.state})
		})
		if err := twilio.New(params(srv.URL, nil)).Check(t.Context()); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
