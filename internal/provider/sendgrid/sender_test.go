package sendgrid_test

import (
	"encoding/json"
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
	"github.com/connectlink/connectlink/internal/provider/sendgrid"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/wire/wiretest"
)

const apiKey = "SG.testkeyid.testkeysecret"

func newSender(baseURL string, client *http.Client) *sendgrid.Sender {
	return sendgrid.New(sendgrid.Params{
		BaseURL: baseURL, APIKey: secret.New(apiKey), HTTP: client,
		From: message.Address{Email: secret.New("connect@brand.example"), Name: "Brand"},
	})
}

func email(n int) message.Outgoing {
	return message.Outgoing{
		InviteID: fmt.Sprintf("inv_%026d", n), AttemptID: fmt.Sprintf("att_%026d", n), Livemode: n%2 == 0,
		Email: &message.Email{
			From:    message.Address{Email: secret.New("connect@brand.example"), Name: "Brand, Inc."},
			To:      message.Address{Email: secret.New(fmt.Sprintf("person%d@customer.example", n)), Name: fmt.Sprintf("Pat %d, <b>", n)},
			ReplyTo: secret.New("support@brand.example"),
			Subject: "Connect your Slack to Brand",
			Text:    providertest.Text(n),
			HTML:    secret.New(fmt.Sprintf("<a href=\"https://go.brand.example/c/code%06d\">Connect</a>", n)),
		},
	}
}

type sent struct {
	Personalizations []struct {
		To         []struct{ Email, Name string }
		CustomArgs map[string]string `json:"custom_args"`
	}
	From         struct{ Email, Name string }
	ReplyTo      struct{ Email, Name string } `json:"reply_to"`
	Subject      string
	Content      []struct{ Type, Value string }
	Headers      map[string]string
	Tracking     map[string]map[string]any `json:"tracking_settings"`
	MailSettings map[string]map[string]any `json:"mail_settings"`
	Categories   []string
}

func read(t testing.TB, r wiretest.Request) sent {
	t.Helper()
	var s sent
	if err := json.Unmarshal(r.Body, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSenderConforms(t *testing.T) {
	t.Parallel()
	providertest.Run(t, providertest.Harness{
		Spec:    wiretest.SendGrid(t),
		New:     func(u string, c *http.Client) providertest.Sender { return newSender(u, c) },
		Message: email,
		Accept: func(w http.ResponseWriter, id string) {
			w.Header().Set("X-Message-Id", id)
			w.WriteHeader(http.StatusAccepted)
		},
		Refuse: func(w http.ResponseWriter, status int, words string) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(map[string]any{"errors": []any{map[string]any{"message": words, "field": "personalizations.0.to.0.email", "help": nil}}})
		},
		Read: func(t testing.TB, r wiretest.Request) (string, string, string) {
			if got := r.Header.Get("Authorization"); got != "Bearer "+apiKey {
				t.Errorf("Authorization %q", got)
			}
			s := read(t, r)
			to := s.Personalizations[0].To[0]
			if want := "Pat " + strings.TrimSuffix(strings.TrimPrefix(to.Email, "person"), "@customer.example") + ", <b>"; to.Name != `"`+want+`"` {
				t.Errorf("a mail to %s in the name of %q", to.Email, to.Name)
			}
			return s.Personalizations[0].To[0].Email, s.Content[0].Value, s.Personalizations[0].CustomArgs["cl_attempt"]
		},
		Secrets: []string{apiKey},
	})
}

func TestBodySaysNoToTrackingAndNamesOnlyOpaqueIDs(t *testing.T) {
	t.Parallel()
	srv := wiretest.SendGrid(t).Serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
	m := email(7)
	receipt, err := newSender(srv.URL, nil).Send(t.Context(), m)
	if err != nil || receipt.ProviderMessageID != "" {
		t.Fatalf("%+v %v: an acceptance without an id is an acceptance", receipt, err)
	}
	got := read(t, srv.Requests()[0])
	off := map[string]any{"enable": false}
	if d := cmp.Diff(map[string]map[string]any{
		"click_tracking": {"enable": false, "enable_text": false}, "open_tracking": off, "subscription_tracking": off, "ganalytics": off,
	}, got.Tracking); d != "" {
		t.Errorf("tracking (-want +got):\n%s", d)
	}
	if d := cmp.Diff(map[string]string{"cl_invite": m.InviteID, "cl_attempt": m.AttemptID, "cl_env": "test"}, got.Personalizations[0].CustomArgs); d != "" {
		t.Errorf("custom args (-want +got):\n%s", d)
	}
	if d := cmp.Diff(map[string]string{"Auto-Submitted": "auto-generated", "X-Entity-Ref-ID": m.AttemptID}, got.Headers); d != "" {
		t.Errorf("headers (-want +got):\n%s", d)
	}
	if len(got.Content) != 2 || got.Content[0].Type != "text/plain" || got.Content[1].Type != "text/html" {
		t.Errorf("content %+v, want text and then HTML", got.Content)
	}
	if got.Content[1].Value != m.Email.HTML.Reveal() || got.Subject != m.Email.Subject || got.ReplyTo.Email != "support@brand.example" {
		t.Errorf("%+v is not the message", got)
	}
	if len(got.Personalizations) != 1 || len(got.Personalizations[0].To) != 1 || got.From.Name != `"Brand, Inc."` {
		t.Errorf("%+v: one message is one personalization to one person", got)
	}
	if path := srv.Requests()[0].Path; path != "/v3/mail/send" {
		t.Errorf("path %q", path)
	}
}

func TestScopeOfARefusalSaysWhatToStop(t *testing.T) {
	t.Parallel()
	for field, c := range map[string]struct {
		scope  provider.Scope
		reason invite.Reason
	}{
		"personalizations.0.to.0.email": {provider.ScopeMessage, invite.AddressNotFound},
		"from.email":                    {provider.ScopeAccount, invite.ProviderAccount},
		"content.0.value":               {provider.ScopeMessage, invite.ProviderRefused},
		"":                              {provider.ScopeMessage, invite.ProviderRefused},
		"an address x@y.example":        {provider.ScopeMessage, invite.ProviderRefused},
		"from":                          {provider.ScopeAccount, invite.ProviderAccount},
		"asm.group_id":                  {provider.ScopeAccount, invite.ProviderAccount},
		"ip_pool_name":                  {provider.ScopeAccount, invite.ProviderAccount},
		"reply_to.email":                {provider.ScopeAccount, invite.ProviderAccount},
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			srv := wiretest.SendGrid(t).Serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json; charset=utf-8")
				w.WriteHeader(http.StatusBadRequest)
				_ = json.NewEncoder(w).Encode(map[string]any{"errors": []any{map[string]any{"message": "bad", "field": field}}})
			})
			_, err := newSender(srv.URL, nil).Send(t.Context(), email(1))
			se, ok := err.(*provider.SendError)
			if !ok || se.Scope != c.scope || se.Reason != c.reason {
				t.Errorf("%+v with reason %q, want scope %q, reason %q", err, se.Reason, c.scope, c.reason)
			}
			if strings.Contains(se.ProviderCode, " ") {
				t.Errorf("code %q may quote an address", se.ProviderCode)
			}
		})
	}
}

// 200 comes in sandbox mode only: nothing was queued, and no other meaning is
// documented.
func TestAnUndocumentedSuccessIsNotAnAcceptance(t *testing.T) {
	t.Parallel()
	srv := wiretest.SendGrid(t).Serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	_, err := newSender(srv.URL, nil).Send(t.Context(), email(1))
	if se, ok := err.(*provider.SendError); !ok || se.Outcome != provider.Unknown {
		t.Errorf("%v, want unknown", err)
	}
}

func TestCheckSendsNothing(t *testing.T) {
	t.Parallel()
	for status, ok := range map[int]bool{200: true, 202: false, 401: false, 403: false, 500: false} {
		srv := wiretest.SendGrid(t).Serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		if err := newSender(srv.URL, nil).Check(t.Context()); (err == nil) != ok {
			t.Errorf("status %d: %v", status, err)
		}
		got := read(t, srv.Requests()[0])
		if got.MailSettings["sandbox_mode"]["enable"] != true {
			t.Fatal("the check is not in sandbox mode: it would send a mail")
		}
	}
	if err := newSender(wiretest.Refusing(t), nil).Check(t.Context()); err == nil {
		t.Error("nobody listens, and the check passed")
	}
}

func TestProofNeedsARecentEvent(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	var elsewhere time.Time
	s := sendgrid.New(sendgrid.Params{
		Now: func() time.Time { return now }, Settle: 7 * time.Minute, ReportingSince: func() time.Time { return elsewhere },
	})
	check := func(want bool, why string) {
		t.Helper()
		if got := s.Proof(); got.Reporting != want || got.Settle != 7*time.Minute {
			t.Errorf("%s: %+v, want reporting %v", why, got, want)
		}
	}
	check(false, "no event yet")
	s.SawEvent(now.Add(-2 * time.Hour))
	check(false, "an old event")
	s.SawEvent(now.Add(-time.Minute))
	check(true, "a recent event")
	s.SawEvent(now.Add(-3 * time.Hour))
	check(true, "a late copy of an older one")
	now = now.Add(time.Hour)
	check(false, "an hour without events")
	elsewhere = now.Add(-time.Minute)
	check(true, "another process saw one")
	if _, err := s.Find(t.Context(), provider.Sought{}); err != provider.ErrCannotFind {
		t.Errorf("Find: %v", err)
	}
}

// TestF08ARefusalThatNamesOurSenderBelongsToTheAccount: SendGrid names the sender
// in the words too, and not always first.
func TestF08ARefusalThatNamesOurSenderBelongsToTheAccount(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		errors []any
		scope  provider.Scope
	}{
		"sender identity, no field": {[]any{map[string]any{"message": "The from address does not match a verified Sender Identity.", "field": nil}}, provider.ScopeAccount},
		"unsubscribe group":         {[]any{map[string]any{"message": "The unsubscribe group does not exist", "field": nil}}, provider.ScopeAccount},
		"ip pool":                   {[]any{map[string]any{"message": "IP pool not found", "field": ""}}, provider.ScopeAccount},
		"second of two":             {[]any{map[string]any{"message": "bad", "field": "subject"}, map[string]any{"message": "bad", "field": "from.email"}}, provider.ScopeAccount},
		"the message":               {[]any{map[string]any{"message": "The subject is required", "field": "subject"}}, provider.ScopeMessage},
	} {
		srv := wiretest.SendGrid(t).Serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_ = json.NewEncoder(w).Encode(map[string]any{"errors": c.errors})
		})
		_, err := newSender(srv.URL, nil).Send(t.Context(), email(1))
		if se, ok := err.(*provider.SendError); !ok || se.Scope != c.scope {
			t.Errorf("%s: %+v, want scope %s", name, err, c.scope)
		}
	}
}

// TestF01NamesWithSeparatorsAreQuoted: SendGrid takes a bare "Doe, Jane" apart.
func TestF01NamesWithSeparatorsAreQuoted(t *testing.T) {
	t.Parallel()
	srv := wiretest.SendGrid(t).Serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
	names := map[string]string{
		"Doe, Jane": `"Doe, Jane"`, "Jane Doe; PhD": `"Jane Doe; PhD"`, "Figma, Inc.": `"Figma, Inc."`, "Jane Doe": "Jane Doe", "J. O'Neil": "J. O'Neil",
		`Doe, "J"`: `"Doe, \"J\""`, `Doe, J\`: `"Doe, J\\"`, `"Jane"`: `"Jane"`, "Müller, Jörg": `"Müller, Jörg"`, "": "",
	}
	for name, want := range names {
		m := email(1)
		m.Email.To.Name, m.Email.From.Name = name, name
		if _, err := newSender(srv.URL, nil).Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		requests := srv.Requests()
		got := read(t, requests[len(requests)-1])
		if to := got.Personalizations[0].To[0].Name; to != want {
			t.Errorf("to %q became %q, want %q", name, to, want)
		}
		if m.Email.From.Email.IsZero() {
			continue
		}
		if got.From.Name != want {
			t.Errorf("from %q became %q, want %q", name, got.From.Name, want)
		}
	}
}
