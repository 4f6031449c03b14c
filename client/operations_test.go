package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/connectlink/connectlink/client"
)

// answers is an http.RoundTripper that answers requests one after the other, the last
// answer again and again, and keeps what was asked.
type answers struct {
	list  []answer
	asked []string
}

type answer struct {
	status int // 0: the response is lost
	body   string
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	line := r.Method + " " + r.URL.RequestURI()
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		line += " " + string(body)
	}
	a.asked = append(a.asked, line)
	next := a.list[min(len(a.asked), len(a.list))-1]
	if next.status == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	kind := "application/json"
	if next.status >= 400 {
		kind = "application/problem+json"
	}
	return &http.Response{StatusCode: next.status, Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(bytes.NewBufferString(next.body))}, nil
}

func answering(list ...answer) (*answers, *client.Client) {
	a := &answers{list: list}
	c, err := client.New(client.Params{URL: "https://connect.acme.example", Key: "cl_test_key", HTTP: &http.Client{Transport: a}})
	if err != nil {
		panic(err) // the parameters are constants
	}
	return a, c
}

func text(s *string) string {
	if s == nil {
		return "none"
	}
	return *s
}

func number(n *int) int {
	if n == nil {
		return -1
	}
	return *n
}

// operations calls every operation that example_test.go and client_test.go leave out.
var operations = map[string]struct {
	do func(ctx context.Context, c *client.Client) (any, error)
	// asked is the request, answer the response, and got what do returns for it.
	asked, answer, got string
	// once: a repeat would act twice, so a request without a response is not repeated.
	once bool
}{
	"create a batch": {
		do: func(ctx context.Context, c *client.Client) (any, error) {
			r, err := c.CreateInvites(ctx, []client.BatchInvite{{ExternalUserID: "u", App: "slack", Channel: client.ChannelLink}}, client.WithIdempotencyKey("k"))
			if err != nil {
				return nil, err
			}
			return r[0].Err(), nil
		},
		asked:  `POST /v1/invites/batch {"invites":[{"app":"slack","channel":"link","external_user_id":"u"}]}`,
		answer: `{"object":"batch","results":[{"index":0,"status":422,"problem":{"code":"unknown_app","detail":"No app.","request_id":"req_1"}}]}`,
		got:    "connectlink: unknown_app: No app. (req_1)",
	},
	"revoke a user's invites": {
		do: func(ctx context.Context, c *client.Client) (any, error) {
			r, err := c.RevokeInvites(ctx, client.RevokeInvites{ExternalUserID: "u", App: new("slack")})
			return r.Revoked, err
		},
		asked: `POST /v1/invites/revoke {"app":"slack","external_user_id":"u"}`, answer: `{"revoked":3,"invites":[]}`, got: "3",
	},
	"reconnect an invite": {
		do: func(ctx context.Context, c *client.Client) (any, error) {
			r, err := c.ReconnectInvite(ctx, "inv_1", client.ReconnectInvite{Note: new("Again")}, client.WithIdempotencyKey("k"))
			return r.Kind, err
		},
		asked: `POST /v1/invites/inv_1/reconnect {"note":"Again"}`, answer: `{"kind":"reconnect"}`, got: "reconnect",
	},
	"extend an invite": {
		do: func(ctx context.Context, c *client.Client) (any, error) {
			r, err := c.ExtendInvite(ctx, "inv_1", 7*24*time.Hour, client.WithIdempotencyKey("k"))
			return r.ExpiresAt, err
		},
		asked: `POST /v1/invites/inv_1/extend {"valid_for":604800}`, answer: `{"expires_at":"2026-12-05T09:31:12Z"}`, got: "2026-12-05 09:31:12 +0000 UTC",
	},
	"check a connection": {
		do: func(ctx context.Context, c *client.Client) (any, error) {
			r, err := c.CheckConnection(ctx, "inv_1")
			if err != nil {
				return nil, err
			}
			return r.Connection.Health.Status, nil
		},
		asked: `POST /v1/invites/inv_1/check_connection`, answer: `{"connection":{"account_id":"apn_1","health":{"status":"unhealthy"}}}`, got: "unhealthy",
	},
	"search apps": {
		do: func(ctx context.Context, c *client.Client) (any, error) {
			r, err := c.SearchApps(ctx, "google sheets")
			return r.Data[0].Slug, err
		},
		asked: `GET /v1/apps?q=google+sheets`, answer: `{"data":[{"slug":"google_sheets"}]}`, got: "google_sheets",
	},
	"filter invites": {
		do: func(ctx context.Context, c *client.Client) (any, error) {
			for invite, err := range c.Invites(ctx, client.InviteFilter{
				Progress: []client.Progress{client.ProgressVisited}, ExternalUserIDs: []string{"u", "v"}, Metadata: client.Metadata{"a": "b"},
				Updated: client.TimeRange{From: time.Unix(0, 0).UTC()},
			}) {
				return invite.ID, err
			}
			return "none", nil
		},
		asked:  `POST /v1/invites/search {"progress":["visited"],"external_user_ids":["u","v"],"metadata":{"a":"b"},"updated":{"gte":"1970-01-01T00:00:00Z"},"limit":100}`,
		answer: `{"data":[{"id":"inv_1"}],"has_more":false}`, got: "inv_1",
	},
	"advance a test invite": {
		do: func(ctx context.Context, c *client.Client) (any, error) {
			r, err := c.AdvanceTestInvite(ctx, "inv_1", client.AdvanceInvite{To: client.AdvanceInviteToExpired})
			return r.Status, err
		},
		asked: `POST /v1/test_helpers/invites/inv_1/advance {"to":"expired"}`, answer: `{"status":"expired"}`, got: "expired", once: true,
	},
	"list events": {
		do: func(ctx context.Context, c *client.Client) (any, error) {
			r, err := c.ListEvents(ctx, client.EventFilter{
				After: "c1", Types: []client.PublicEventType{client.PublicEventTypeInviteConnected, client.PublicEventTypeInviteExpired},
				InviteID: "inv_1", Created: client.TimeRange{From: time.Unix(0, 0), Before: time.Unix(60, 0)},
			})
			return r.Data[0].Sequence, err
		},
		asked:  `GET /v1/events?after=c1&created%5Bgte%5D=1970-01-01T00%3A00%3A00Z&created%5Blt%5D=1970-01-01T00%3A01%3A00Z&invite=inv_1&limit=100&types=invite.connected%2Cinvite.expired`,
		answer: `{"data":[{"sequence":7}]}`, got: "7",
	},
	"get an event": {
		do: func(ctx context.Context, c *client.Client) (any, error) {
			r, err := c.GetEvent(ctx, "evt_1")
			return r.Data.Invite.ID, err
		},
		asked: `GET /v1/events/evt_1`, answer: `{"data":{"invite":{"id":"inv_1"}}}`, got: "inv_1",
	},
	"redeliver an event": {
		do: func(ctx context.Context, c *client.Client) (any, error) {
			r, err := c.RedeliverEvent(ctx, "evt_1", "whe_1")
			return r.Endpoints, err
		},
		asked: `POST /v1/events/evt_1/redeliver {"endpoint":"whe_1"}`, answer: `{"endpoints":["whe_1"]}`, got: "[whe_1]", once: true,
	},
	"list endpoints": {
		do: func(ctx context.Context, c *client.Client) (any, error) {
			r, err := c.ListWebhookEndpoints(ctx)
			return r[0].ID, err
		},
		asked: `GET /v1/webhook_endpoints`, answer: `{"data":[{"id":"configuration"}]}`, got: "configuration",
	},
	"create an endpoint": {
		do: func(ctx context.Context, c *client.Client) (any, error) {
			r, err := c.CreateWebhookEndpoint(ctx, client.CreateWebhookEndpoint{URL: "https://acme.example/hook"})
			return text(r.Secret), err
		},
		asked: `POST /v1/webhook_endpoints {"url":"https://acme.example/hook"}`, answer: `{"secret":"whsec_1"}`, got: "whsec_1", once: true,
	},
	"get an endpoint": {
		do: func(ctx context.Context, c *client.Client) (any, error) {
			r, err := c.GetWebhookEndpoint(ctx, "whe_1")
			return r.URL, err
		},
		asked: `GET /v1/webhook_endpoints/whe_1`, answer: `{"url":"https://acme.example/hook"}`, got: "https://acme.example/hook",
	},
	"enable an endpoint": {
		do: func(ctx context.Context, c *client.Client) (any, error) {
			r, err := c.UpdateWebhookEndpoint(ctx, "whe_1", client.UpdateWebhookEndpoint{Disabled: new(false)})
			return r.Status, err
		},
		asked: `PATCH /v1/webhook_endpoints/whe_1 {"disabled":false}`, answer: `{"status":"enabled"}`, got: "enabled",
	},
	"delete an endpoint": {
		do: func(ctx context.Context, c *client.Client) (any, error) {
			return "deleted", c.DeleteWebhookEndpoint(ctx, "whe_1")
		},
		asked: `DELETE /v1/webhook_endpoints/whe_1`, got: "deleted",
	},
	"rotate a secret": {
		do: func(ctx context.Context, c *client.Client) (any, error) {
			r, err := c.RotateWebhookSecret(ctx, "whe_1", client.RotateWebhookSecret{ExpireOldIn: new(0)})
			return text(r.Secret), err
		},
		asked: `POST /v1/webhook_endpoints/whe_1/rotate_secret {"expire_old_in":0}`, answer: `{"secret":"whsec_2"}`, got: "whsec_2", once: true,
	},
	"test an endpoint": {
		do: func(ctx context.Context, c *client.Client) (any, error) {
			r, err := c.TestWebhookEndpoint(ctx, "whe_1", client.PublicEventTypeInviteExpired)
			return number(r.HTTPStatus), err
		},
		asked: `POST /v1/webhook_endpoints/whe_1/test {"type":"invite.expired"}`, answer: `{"http_status":204}`, got: "204", once: true,
	},
	"recover an endpoint": {
		do: func(ctx context.Context, c *client.Client) (any, error) {
			return c.RecoverWebhookEndpoint(ctx, "whe_1", time.Unix(0, 0).UTC())
		},
		asked: `POST /v1/webhook_endpoints/whe_1/recover {"since":"1970-01-01T00:00:00Z"}`, answer: `{"queued":5}`, got: "5", once: true,
	},
	"list attempts": {
		do: func(ctx context.Context, c *client.Client) (any, error) {
			for attempt, err := range c.WebhookAttempts(ctx, "whe_1", "evt_1") {
				return attempt.Number, err
			}
			return "none", nil
		},
		asked: `GET /v1/webhook_endpoints/whe_1/attempts?event=evt_1&limit=100`, answer: `{"data":[{"number":2}]}`, got: "2",
	},
	"list suppressions": {
		do: func(ctx context.Context, c *client.Client) (any, error) {
			for s, err := range c.Suppressions(ctx, client.SuppressionFilter{Recipient: "pat@acme.example"}) {
				return s.ID, err
			}
			return "none", nil
		},
		asked: `POST /v1/suppressions/search {"recipient":"pat@acme.example","limit":100}`, answer: `{"data":[{"id":"sup_1"}]}`, got: "sup_1",
	},
	"add a suppression": {
		do: func(ctx context.Context, c *client.Client) (any, error) {
			r, err := c.AddSuppression(ctx, client.AddSuppression{Email: new("pat@acme.example"), Reason: "Asked"})
			return r.ID, err
		},
		asked: `POST /v1/suppressions {"email":"pat@acme.example","reason":"Asked"}`, answer: `{"id":"sup_1"}`, got: "sup_1",
	},
	"list pauses": {
		do: func(ctx context.Context, c *client.Client) (any, error) {
			list, err := c.Pauses(ctx)
			return len(list), err
		},
		asked: `GET /v1/pauses`, answer: `{"data":[{"scope":"sms_country"},{"scope":"channel"}]}`, got: "2",
	},
	"pause a country": {
		do: func(ctx context.Context, c *client.Client) (any, error) {
			list, err := c.PauseSending(ctx, client.PauseSending{Channel: "sms", Country: new("GB"), Reason: "pumping"})
			return len(list), err
		},
		asked: `POST /v1/pauses {"channel":"sms","country":"GB","reason":"pumping"}`, answer: `{"data":[{"scope":"sms_country"}]}`, got: "1",
	},
	"resume a country": {
		do: func(ctx context.Context, c *client.Client) (any, error) {
			list, err := c.ResumeSending(ctx, client.ResumeSending{Channel: "sms", Country: new("GB")})
			return len(list), err
		},
		asked: `POST /v1/pauses/resume {"channel":"sms","country":"GB"}`, answer: `{"data":[]}`, got: "0",
	},
	"export a person": {
		do: func(ctx context.Context, c *client.Client) (any, error) {
			r, err := c.ExportPerson(ctx, "u")
			return len(r.Invites), err
		},
		asked: `POST /v1/privacy/export {"external_user_id":"u"}`, answer: `{"invites":[{},{}]}`, got: "2",
	},
	"erase a person": {
		do: func(ctx context.Context, c *client.Client) (any, error) {
			r, err := c.ErasePerson(ctx, "u", "Request 4711")
			return r.Invites, err
		},
		asked: `POST /v1/privacy/erase {"external_user_id":"u","reason":"Request 4711"}`, answer: `{"invites":2}`, got: "2",
	},
}

func TestOperationsSendTheirRequestAndReadTheResponse(t *testing.T) {
	t.Parallel()
	for name, o := range operations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, c := answering(answer{http.StatusOK, o.answer})
			got, err := o.do(t.Context(), c)
			if err != nil || fmt.Sprint(got) != o.got {
				t.Errorf("got %v, %v", got, err)
			}
			if len(a.asked) != 1 || a.asked[0] != o.asked {
				t.Errorf("asked %q", a.asked)
			}
		})
	}
}

func TestARequestWithoutAResponseIsRepeatedOnlyWhereThatIsSafe(t *testing.T) {
	t.Parallel()
	for name, o := range operations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a, c := answering(answer{}, answer{http.StatusOK, o.answer})
				_, err := o.do(t.Context(), c)
				if failed := err != nil; failed != o.once || o.once != (len(a.asked) == 1) {
					t.Errorf("asked %d times, error %v", len(a.asked), err)
				}
			})
		})
	}
}

func TestFailuresAreTypedByCode(t *testing.T) {
	t.Parallel()
	_, c := answering(answer{http.StatusForbidden, `{"code":"insufficient_scope","detail":"No.","request_id":"req_1"}`})
	for name, do := range map[string]func() error{
		"events": func() error {
			for _, err := range c.Events(t.Context(), client.EventFilter{}) {
				return err
			}
			return nil
		},
		"erase":  func() error { _, err := c.ErasePerson(t.Context(), "u", ""); return err },
		"delete": func() error { return c.DeleteWebhookEndpoint(t.Context(), "whe_1") },
		"batch":  func() error { _, err := c.CreateInvites(t.Context(), nil); return err },
	} {
		var problem *client.Error
		if err := do(); !errors.Is(err, client.ErrorCodeInsufficientScope) || !errors.As(err, &problem) || problem.RequestID != "req_1" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestABatchItemOfAConnectedUserIsAConnectedError(t *testing.T) {
	t.Parallel()
	r := client.BatchResult{Status: 200, ConnectedAccount: &client.ConnectedAccount{}}
	var connected *client.ConnectedError
	if !errors.As(r.Err(), &connected) {
		t.Errorf("error %v", r.Err())
	}
	if err := (client.BatchResult{Status: 201, Invite: &client.Invite{}}).Err(); err != nil {
		t.Errorf("error %v", err)
	}
}

func ExampleClient_CreateInvites() {
	_, c := answering(answer{http.StatusOK, `{"results":[{"index":0,"status":201,"invite":{"id":"inv_1","status":"active"}},
		{"index":1,"status":422,"problem":{"code":"unknown_app","detail":"There is no app slak; did you mean slack?","request_id":"req_1"}}]}`})
	results, err := c.CreateInvites(context.Background(), []client.BatchInvite{
		{ExternalUserID: "user_1", App: "slack", Channel: client.ChannelLink, IdempotencyKey: new("import-7-row-1")},
		{ExternalUserID: "user_2", App: "slak", Channel: client.ChannelLink, IdempotencyKey: new("import-7-row-2")},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range results {
		if err := r.Err(); err != nil {
			fmt.Println(r.Index, err)
			continue
		}
		fmt.Println(r.Index, r.Invite.ID)
	}
	// Output:
	// 0 inv_1
	// 1 connectlink: unknown_app: There is no app slak; did you mean slack? (req_1)
}

func ExampleClient_Events() {
	_, c := answering(
		answer{http.StatusOK, `{"data":[{"type":"invite.sent","sequence":1},{"type":"invite.opened","sequence":2}],"has_more":true,"next_cursor":"c2"}`},
		answer{http.StatusOK, `{"data":[{"type":"invite.connected","sequence":3}],"has_more":false,"next_cursor":"c3"}`},
	)
	for event, err := range c.Events(context.Background(), client.EventFilter{InviteID: "inv_1"}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(event.Sequence, event.Type)
	}
	// Output:
	// 1 invite.sent
	// 2 invite.opened
	// 3 invite.connected
}

func ExampleClient_CreateWebhookEndpoint() {
	_, c := answering(answer{http.StatusCreated, `{"id":"whe_1","status":"enabled","secret":"whsec_…"}`})
	endpoint, err := c.CreateWebhookEndpoint(context.Background(), client.CreateWebhookEndpoint{
		URL:   "https://acme.example/webhooks",
		Types: &[]client.PublicEventType{client.PublicEventTypeInviteConnected},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	// Store *endpoint.Secret where your receiver reads it: it is not shown again.
	fmt.Println(endpoint.ID, endpoint.Status)
	// Output: whe_1 enabled
}

func ExampleClient_RevokeInvites() {
	_, c := answering(answer{http.StatusOK, `{"revoked":2,"invites":[]}`})
	revocation, err := c.RevokeInvites(context.Background(), client.RevokeInvites{ExternalUserID: "user_8412", Reason: new("The account was closed")})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(revocation.Revoked)
	// Output: 2
}
