package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/connectlink/connectlink/client"
)

func valid() client.CreateInvite {
	return client.CreateInvite{ExternalUserID: "user-1", App: "slack", Channel: client.ChannelLink}
}

func TestRetriesKeepTheIdempotencyKeyAndTheBody(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(w http.ResponseWriter){
		"unavailable":               func(w http.ResponseWriter) { problem(w, 503, "unavailable", "Try again.", "") },
		"the first is still in use": func(w http.ResponseWriter) { problem(w, 409, "idempotency_in_progress", "Wait.", "") },
		"a proxy's 502":             func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) },
		"a lost response":           func(w http.ResponseWriter) { w.(*httptest.ResponseRecorder).Code = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStub()
				s.fail = func(w http.ResponseWriter, n int) bool {
					if n <= 2 {
						fail(w)
					}
					return n <= 2
				}
				if _, err := s.client().CreateInvite(t.Context(), valid()); err != nil {
					t.Fatal(err)
				}
				if len(s.asked) != 3 || s.asked[0].key == "" || s.asked[0] != s.asked[1] || s.asked[0] != s.asked[2] {
					t.Errorf("asked %+v", s.asked)
				}
			})
		})
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStub()
		s.fail = func(w http.ResponseWriter, n int) bool {
			if n == 1 {
				w.Header().Set("Retry-After", "17")
				problem(w, 429, "rate_limited", "Too many.", "")
			}
			return n == 1
		}
		began := time.Now()
		if _, err := s.client().CreateInvite(t.Context(), valid()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 17*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestAPauseBeyondTheDeadlineReturnsTheFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStub()
		s.fail = func(w http.ResponseWriter, _ int) bool {
			w.Header().Set("Retry-After", "60")
			problem(w, 429, "resend_too_soon", "Too soon.", "")
			return true
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		began := time.Now()
		_, err := s.client().CreateInvite(ctx, valid())
		var failed *client.Error
		if !errors.As(err, &failed) || failed.RetryAfter != time.Minute || !errors.Is(err, client.ErrorCodeResendTooSoon) || time.Since(began) != 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestFailuresThatStayAreNotRetried(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fail func(w http.ResponseWriter)
		do   func(ctx context.Context, c *client.Client) error
		want int
	}{
		"a faulty field": {func(w http.ResponseWriter) { problem(w, 422, "invalid_request", "1 field is at fault.", "") }, create, 1},
		"a wrong key":    {func(w http.ResponseWriter) { problem(w, 401, "invalid_api_key", "No such key.", "") }, create, 1},
		"always down":    {func(w http.ResponseWriter) { problem(w, 503, "unavailable", "Try again.", "") }, create, 4},
		"a lost response to a request that creates another token": {
			func(w http.ResponseWriter) { w.(*httptest.ResponseRecorder).Code = 0 }, token, 1,
		},
		"a redirect": {func(w http.ResponseWriter) {
			w.Header().Set("Location", "https://elsewhere.example/")
			w.WriteHeader(http.StatusFound)
		}, create, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStub()
				s.fail = func(w http.ResponseWriter, _ int) bool { c.fail(w); return true }
				if err := c.do(t.Context(), s.client()); err == nil || len(s.asked) != c.want {
					t.Errorf("%d attempts, error %v", len(s.asked), err)
				}
			})
		})
	}
}

func create(ctx context.Context, c *client.Client) error {
	_, err := c.CreateInvite(ctx, valid())
	return err
}

func token(ctx context.Context, c *client.Client) error {
	_, err := c.CreateClientToken(ctx, "inv_1")
	return err
}

func TestAnEndedContextEndsThePause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStub()
		s.fail = func(w http.ResponseWriter, _ int) bool { problem(w, 503, "unavailable", "Try again.", ""); return true }
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Millisecond, cancel)
		began := time.Now()
		if _, err := s.client().CreateInvite(ctx, valid()); err == nil || time.Since(began) != 10*time.Millisecond {
			t.Errorf("error %v after %v", err, time.Since(began))
		}
	})
}

func TestIteratorsReadAllPagesAndStopEarly(t *testing.T) {
	t.Parallel()
	s := newStub()
	c := s.client()
	for n := range 5 {
		in := valid()
		in.ExternalUserID = fmt.Sprintf("user-%d", n)
		if _, err := c.CreateInvite(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	var users []string
	for inv, err := range c.Invites(t.Context(), client.InviteFilter{App: "slack", Recipient: "pat@acme.example"}) {
		if err != nil {
			t.Fatal(err)
		}
		users = append(users, *inv.ExternalUserID)
	}
	if got := strings.Join(users, " "); got != "user-0 user-1 user-2 user-3 user-4" {
		t.Errorf("read %s", got)
	}
	if last := s.asked[len(s.asked)-1]; last.query != "" || !strings.Contains(last.body, `"recipient":"pat@acme.example"`) || !strings.Contains(last.body, `"app":"slack"`) {
		t.Errorf("asked %+v", last)
	}
	before := len(s.asked)
	for range c.Invites(t.Context(), client.InviteFilter{}) {
		break
	}
	if got := len(s.asked) - before; got != 1 {
		t.Errorf("%d pages were read for the first item", got)
	}
}

func TestAListThatFailsYieldsTheFailureOnce(t *testing.T) {
	t.Parallel()
	s := newStub()
	s.fail = func(w http.ResponseWriter, _ int) bool { problem(w, 403, "insufficient_scope", "No.", ""); return true }
	failures := 0
	for _, err := range s.client().Invites(t.Context(), client.InviteFilter{}) {
		if !errors.Is(err, client.ErrorCodeInsufficientScope) {
			t.Errorf("error %v", err)
		}
		failures++
	}
	if failures != 1 {
		t.Errorf("%d failures", failures)
	}
}

func TestWaitEndsWithTheContextAndReturnsTheInvite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStub()
		c := s.client()
		inv, err := c.CreateInvite(t.Context(), valid())
		if err != nil {
			t.Fatal(err)
		}
		s.reads[inv.ID] = -1000
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		got, err := c.WaitForInvite(ctx, inv.ID)
		if !errors.Is(err, context.DeadlineExceeded) || got.Status != client.InviteStatusActive {
			t.Errorf("%s, %v", got.Status, err)
		}
		if n := len(s.asked); n < 6 || n > 25 {
			t.Errorf("%d reads within a minute", n)
		}
	})
}

func TestAnIDThatLeadsElsewhereIsRefused(t *testing.T) {
	t.Parallel()
	s := newStub()
	for _, id := range []string{"", "..", "inv_1/revoke", "inv_1?x=1", "%2e%2e"} {
		if _, err := s.client().GetInvite(t.Context(), id); err == nil {
			t.Errorf("%q was sent", id)
		}
	}
	if len(s.asked) != 0 {
		t.Errorf("asked %+v", s.asked)
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]client.Params{
		"no URL":           {Key: "k"},
		"no scheme":        {URL: "connect.acme.example", Key: "k"},
		"another scheme":   {URL: "ftp://connect.acme.example", Key: "k"},
		"a password":       {URL: "https://u:p@connect.acme.example", Key: "k"},
		"no key":           {URL: "https://connect.acme.example"},
		"negative retries": {URL: "https://connect.acme.example", Key: "k", MaxAttempts: -1},
	} {
		if _, err := client.New(p); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestNoErrorOrPrintShowsTheKeyOrAnAddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStub()
		s.fail = func(w http.ResponseWriter, _ int) bool { w.(*httptest.ResponseRecorder).Code = 0; return true }
		c := s.client()
		_, err := c.LiftSuppression(t.Context(), "sup_1", "pat@acme.example agreed")
		text := fmt.Sprintf("%v %+v %#v %v", c, *c, c, err)
		if err == nil || strings.Contains(text, "cl_test_key") || strings.Contains(text, "acme.example+agreed") || strings.Contains(text, "pat@") {
			t.Errorf("shown: %s", text)
		}
	})
}

func TestAConnectedAccountIsNoInvite(t *testing.T) {
	t.Parallel()
	s := newStub()
	s.fail = func(w http.ResponseWriter, _ int) bool {
		write(w, http.StatusOK, map[string]any{
			"object": "connected_account", "external_user_id": "user-1", "app": "slack",
			"connection": map[string]any{"account_id": "apn_1", "name": nil, "connected_at": "2026-11-28T09:31:10Z", "mismatch": false},
		})
		return true
	}
	in := valid()
	in.IfConnected = new(client.CreateInviteIfConnectedReturn)
	inv, err := s.client().CreateInvite(t.Context(), in)
	var connected *client.ConnectedError
	if !errors.As(err, &connected) || connected.Account.Connection.AccountID != "apn_1" || inv.ID != "" {
		t.Errorf("%+v, %v", inv, err)
	}
}
