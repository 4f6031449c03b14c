package vonage_test

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/provider/providertest"
	"github.com/connectlink/connectlink/internal/provider/vonage"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/wire/wiretest"
)

//go:embed testdata/messages.yaml
var document []byte

const (
	apiKey    = "a1b2c3d4"
	apiSecret = "apisecret0123456789"
)

func spec(t testing.TB) *wiretest.Spec { return wiretest.Parse(t, "messages.yaml", document) }

func params(baseURL string, client *http.Client) vonage.Params {
	return vonage.Params{BaseURL: baseURL, APIKey: apiKey, APISecret: secret.New(apiSecret), From: "+15005550006", HTTP: client}
}

func sms(n int) message.Outgoing {
	return message.Outgoing{
		InviteID: fmt.Sprintf("inv_%026d", n), AttemptID: fmt.Sprintf("att_%026d", n), Livemode: true,
		SMS:         &message.SMS{To: secret.New(fmt.Sprintf("+1202555%04d", n)), Body: providertest.Text(n), Segments: 1},
		CallbackURL: fmt.Sprintf("https://go.brand.example/hooks/vonage/status/default/live/inv_%026d/att_%026d", n, n),
		ValidFor:    time.Hour,
	}
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status int, code, title, detail string) {
	answer(w, status, map[string]any{
		"type": "https://developer.vonage.com/api-errors/messages#" + code, "title": title, "detail": detail, "instance": "bf0ca0bf",
	})
}

func sent(t testing.TB, r wiretest.Request) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(r.Body, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestSenderConforms(t *testing.T) {
	t.Parallel()
	providertest.Run(t, providertest.Harness{
		Spec:    spec(t),
		New:     func(u string, c *http.Client) providertest.Sender { return vonage.New(params(u, c)) },
		Message: sms,
		Accept: func(w http.ResponseWriter, id string) {
			answer(w, http.StatusAccepted, map[string]any{"message_uuid": id})
		},
		Refuse: func(w http.ResponseWriter, status int, words string) { refuse(w, status, "", "no", words) },
		Read: func(t testing.TB, r wiretest.Request) (string, string, string) {
			if user, password, _ := (&http.Request{Header: r.Header}).BasicAuth(); user != apiKey || password != apiSecret {
				t.Errorf("credentials %q %q", user, password)
			}
			m := sent(t, r)
			_, attempt, _ := strings.Cut(m["client_ref"].(string), ":")
			return "+" + m["to"].(string), m["text"].(string), attempt
		},
		Secrets: []string{apiSecret},
	})
}

func TestMembersOfAText(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*vonage.Params, *message.Outgoing)
		want   map[string]any
	}{
		"usual": {func(*vonage.Params, *message.Outgoing) {}, map[string]any{"from": "15005550006", "ttl": 3600.0, "webhook_url": sms(1).CallbackURL}},
		"letters, nobody to call back, a minute": {func(p *vonage.Params, m *message.Outgoing) {
			p.From, m.CallbackURL, m.ValidFor = "ACME", "", time.Minute
		}, map[string]any{"from": "ACME", "ttl": 1800.0}},
		"thirty days": {func(_ *vonage.Params, m *message.Outgoing) { m.ValidFor, m.CallbackURL = 720*time.Hour, "" },
			map[string]any{"from": "15005550006", "ttl": 36000.0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := spec(t).Serve(t, func(w http.ResponseWriter, _ *http.Request) {
				answer(w, http.StatusAccepted, map[string]any{"message_uuid": "aaaaaaaa-bbbb-cccc-dddd-0123456789ab"})
			})
			p, m := params(srv.URL, nil), sms(1)
			c.change(&p, &m)
			if _, err := vonage.New(p).Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			for k, v := range map[string]any{
				"message_type": "text", "channel": "sms", "to": "12025550001", "text": m.SMS.Body.Reveal(), "client_ref": m.InviteID + ":" + m.AttemptID,
			} {
				c.want[k] = v
			}
			if d := cmp.Diff(c.want, sent(t, srv.Requests()[0])); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestATextThatIsTooLongNeverLeaves(t *testing.T) {
	t.Parallel()
	m := sms(1)
	m.SMS.Body = secret.New(strings.Repeat("é", 1001))
	_, err := vonage.New(params(wiretest.Refusing(t), nil)).Send(t.Context(), m)
	var se *provider.SendError
	if !errors.As(err, &se) || se.Outcome != provider.Refused || se.Reason != invite.MessageBroken {
		t.Errorf("%v", err)
	}
}

func TestRefusalsAreClassed(t *testing.T) {
	t.Parallel()
	const message, account = provider.ScopeMessage, provider.ScopeAccount
	for _, c := range []struct {
		status        int
		code          string
		title, detail string
		outcome       provider.Outcome
		scope         provider.Scope
		reason        invite.Reason
	}{
		{401, "unauthorized", "Unauthorized", "You did not provide correct credentials.", provider.Refused, account, invite.ProviderAccount},
		{402, "low-balance", "Low balance", "This request could not be performed due to your account balance being low.", provider.Refused, account, invite.ProviderAccount},
		{403, "unprovisioned", "Forbidden", "", provider.Refused, account, invite.ProviderAccount},
		{422, "1120", "Invalid sender", "The `from` parameter is invalid for the given channel.", provider.Refused, account, invite.SenderNotRegistered},
		{422, "1170", "Invalid recipient", "The `to` parameter is invalid for the given channel.", provider.Refused, message, invite.InvalidNumber},
		{422, "110", "Invalid recipient", "The `to` parameter is invalid for the given channel.", provider.Refused, message, invite.ProviderRefused},
		{422, "1150", "Invalid params", "The value of one or more parameters is invalid.", provider.Refused, message, invite.MessageBroken},
		{422, "1100", "Unsupported channel", "The specified channel is not supported.", provider.Refused, account, invite.ProviderAccount},
		{422, "1060", "Invalid client reference", "The client reference can be a string of up to 40 characters.", provider.Refused, account, invite.ProviderAccount},
		{422, "4711", "New", "The `from` parameter is not allowed.", provider.Refused, account, invite.ProviderAccount},
		{422, "4711", "New", "Something else.", provider.Refused, message, invite.ProviderRefused},
		{422, "1000", "Throttled", "Please wait and retry.", provider.NotSent, account, invite.ProviderDown},
		{429, "1000", "Rate Limit Hit", "Please wait, then retry your request", provider.NotSent, account, invite.ProviderDown},
		{500, "1030", "Internal error", "", provider.Unknown, message, invite.OutcomeUnknown},
	} {
		srv := spec(t).Serve(t, func(w http.ResponseWriter, _ *http.Request) { refuse(w, c.status, c.code, c.title, c.detail) })
		_, err := vonage.New(params(srv.URL, nil)).Send(t.Context(), sms(1))
		var se *provider.SendError
		if !errors.As(err, &se) || se.Outcome != c.outcome || se.Scope != c.scope || se.Reason != c.reason || se.ProviderCode != c.code {
			t.Errorf("%d %s %q: %+v with reason %q, want %+v", c.status, c.code, c.title, err, se.Reason, c)
		}
	}
}

// An answer with code 1150 lists the parameters that are wrong.
func TestARefusalThatListsTheNumberAloneIsAboutTheNumber(t *testing.T) {
	t.Parallel()
	for names, want := range map[string]invite.Reason{"to": invite.InvalidNumber, "to text": invite.MessageBroken, "text": invite.MessageBroken} {
		srv := spec(t).Serve(t, func(w http.ResponseWriter, _ *http.Request) {
			var list []map[string]any
			for _, name := range strings.Fields(names) {
				list = append(list, map[string]any{"name": name, "reason": "is invalid"})
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnprocessableEntity)
			_ = json.NewEncoder(w).Encode(map[string]any{
				"type": "https://developer.vonage.com/api-errors/messages#1150", "title": "Invalid params", "instance": "bf0ca0bf927b3b52e3cb03217e1a1ddf",
				"detail": "The value of one or more parameters is invalid.", "invalid_parameters": list,
			})
		})
		_, err := vonage.New(params(srv.URL, nil)).Send(t.Context(), sms(1))
		var se *provider.SendError
		if !errors.As(err, &se) || se.Reason != want {
			t.Errorf("%s: %v, want %s", names, err, want)
		}
	}
}

func TestAnAcceptanceWithoutAnIDIsUnknown(t *testing.T) {
	t.Parallel()
	srv := spec(t).Serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusAccepted, map[string]any{}) })
	_, err := vonage.New(params(srv.URL, nil)).Send(t.Context(), sms(1))
	var se *provider.SendError
	if !errors.As(err, &se) || se.Outcome != provider.Unknown {
		t.Errorf("%v", err)
	}
}

func TestProofNeedsStatusesOfTheLastHour(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		last time.Time
		want bool
	}{"never": {time.Time{}, false}, "just now": {now, true}, "an hour ago": {now.Add(-time.Hour), false}} {
		p := params("", nil)
		p.Now, p.ReportingSince = func() time.Time { return now }, func() time.Time { return c.last }
		if got := vonage.New(p).Proof(); got.Reporting != c.want || got.Settle != 5*time.Minute {
			t.Errorf("%s: %+v", name, got)
		}
	}
	s := vonage.New(params("", nil))
	if _, err := s.Find(t.Context(), provider.Sought{}); !errors.Is(err, provider.ErrCannotFind) {
		t.Errorf("Find: %v", err)
	}
	if id := s.Identity(); id != (provider.Identity{Sender: "+15005550006"}) {
		t.Errorf("identity %+v", id)
	}
}

func TestRedactionAndCheck(t *testing.T) {
	t.Parallel()
	for status, gone := range map[int]bool{204: true, 404: true, 401: false, 429: false, 500: false} {
		srv := spec(t).Serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		s := vonage.New(params(srv.URL, nil))
		for name, take := range map[string]error{"Redact": s.Redact(t.Context(), "aaaaaaaa-bbbb"), "Remove": s.Remove(t.Context(), "aaaaaaaa-bbbb")} {
			if (take == nil) != gone {
				t.Errorf("%s answered with %d: %v", name, status, take)
			}
		}
	}
	srv := spec(t).Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if user, _, _ := r.BasicAuth(); user != apiKey {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	if err := vonage.New(params(srv.URL, nil)).Check(t.Context()); err != nil {
		t.Error(err)
	}
	p := params(srv.URL, nil)
	p.APIKey = "other"
	var se *provider.SendError
	if err := vonage.New(p).Check(t.Context()); !errors.As(err, &se) || se.Scope != provider.ScopeAccount {
		t.Errorf("a wrong key: %v", err)
	}
}

// TestASenderThatCannotHearReportsProvesNothing: another project of the same
// account may hear them, and its reports say nothing of this one's messages.
func TestASenderThatCannotHearReportsProvesNothing(t *testing.T) {
	t.Parallel()
	p := params("http://127.0.0.1:1", nil)
	p.Deaf, p.Now, p.ReportingSince = true, time.Now, time.Now
	if got := vonage.New(p).Proof(); got.Reporting || !got.Deaf {
		t.Errorf("%+v", got)
	}
}
