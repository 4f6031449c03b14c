package httpapi_test

import (
	"testing"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/traffic"

	"github.com/jackc/pgx/v5"
)

func TestPauses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const path, resume = "/v1/pauses", "/v1/pauses/resume"
	toPhone := `{"external_user_id":"u1","app":"slack","channel":"sms","recipient":{"phone":"+12025550123"}}`
	w.play(t, []scenario{
		{name: "none yet", key: w.key, method: "GET", path: path, status: 200, want: map[string]any{"data.0": nil}},
		{name: "an unknown parameter", key: w.key, method: "GET", path: path + "?country=GB", status: 422},
		{name: "a key without the scope", key: w.key, method: "POST", path: path, body: `{"channel":"sms","country":"US","reason":"pumping"}`, status: 403},
		{name: "every fault at once", key: w.admin, method: "POST", path: path, body: `{"channel":"fax","country":"USA","reason":"pumping"}`, status: 422,
			want: map[string]any{"errors.0.pointer": "/channel", "errors.1.pointer": "/country"}},
		{name: "a prefix that is none", key: w.admin, method: "POST", path: path, body: `{"channel":"sms","prefix":"1202","reason":"pumping"}`, status: 422, want: map[string]any{"errors.0.pointer": "/prefix"}},
		{name: "a country by email", key: w.admin, method: "POST", path: path, body: `{"channel":"email","country":"US","reason":"pumping"}`, status: 422, want: map[string]any{"errors.0.pointer": "/channel"}},
		{name: "both", key: w.admin, method: "POST", path: path, body: `{"channel":"sms","country":"US","prefix":"+1202","reason":"pumping"}`, status: 422, want: map[string]any{"errors.0.pointer": "/country"}},
		{name: "a reason that is none", key: w.admin, method: "POST", path: path, body: `{"channel":"sms","country":"US","reason":"whim"}`, status: 422, want: map[string]any{"errors.0.pointer": "/reason"}},
		{name: "a country's reason for a channel", key: w.admin, method: "POST", path: path, body: `{"channel":"sms","reason":"pumping"}`, status: 422, want: map[string]any{"errors.0.pointer": "/reason"}},
		{name: "a country", key: w.admin, method: "POST", path: path, body: `{"channel":"sms","country":"us","reason":"pumping"}`, status: 200,
			want: map[string]any{"data.0.scope": "sms_country", "data.0.country": "US", "data.0.source": "person", "data.0.figures": nil}},
		{name: "an invite there", key: w.key, method: "POST", path: "/v1/invites", body: toPhone, status: 403, want: map[string]any{"code": "country_paused", "retryable": false}},
		{name: "its preview", key: w.key, method: "POST", path: "/v1/invites/preview", body: toPhone, status: 200},
		{name: "by email", key: w.key, method: "POST", path: "/v1/invites", body: byEmail, status: 201},
		{name: "of another project", key: w.other, method: "POST", path: "/v1/invites", body: toPhone, status: 201},
		{name: "in a batch", key: w.key, method: "POST", path: "/v1/invites/batch", body: `{"invites":[` + toPhone + `]}`, status: 200,
			want: map[string]any{"results.0.status": 403.0, "results.0.problem.code": "country_paused"}},
		{name: "a reason for resuming", key: w.admin, method: "POST", path: resume, body: `{"channel":"sms","country":"US","reason":"pumping"}`, status: 422},
		{name: "resume", key: w.admin, method: "POST", path: resume, body: `{"channel":"sms","country":"US"}`, status: 200, want: map[string]any{"data.0": nil}},
		{name: "an invite afterwards", key: w.key, method: "POST", path: "/v1/invites", body: toPhone, status: 201},
		{name: "a channel", key: w.admin, method: "POST", path: path, body: `{"channel":"sms","reason":"provider"}`, status: 200,
			want: map[string]any{"data.0.scope": "channel", "data.0.channel": "sms", "data.0.reason": "provider"}},
		{name: "its messages wait", key: w.key, method: "POST", path: "/v1/invites", body: toPhone, status: 201},
		{name: "resume the channel", key: w.admin, method: "POST", path: resume, body: `{"channel":"sms"}`, status: 200, want: map[string]any{"data.0": nil}},
	})
	if n := w.count(t, `SELECT count(*) FROM audit WHERE act IN ('country_paused', 'country_resumed', 'sending_stopped', 'sending_resumed') AND actor LIKE 'key:key\_%'`); n != 4 {
		t.Errorf("%d entries in the audit log", n)
	}
}

func TestPausedKeyIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var id invite.KeyID
	if err := w.db.QueryRow(t.Context(), `SELECT id FROM api_keys WHERE digest = $1`, secret.Digest(w.key)).Scan(&id); err != nil {
		t.Fatal(err)
	}
	err := postgres.InTx(t.Context(), w.db, func(tx pgx.Tx) error {
		_, err := traffic.InsertPause(t.Context(), tx, traffic.NewPause{
			Subject: traffic.Subject{Place: invite.Place{Project: "default"}, Scope: traffic.Key, Name: id.String()},
			Source:  traffic.ByReports, Why: "reported", By: "system", Figures: traffic.Figures{Sent: 60, Reports: 5, Invites: []string{"inv_1"}},
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.pauses.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.play(t, []scenario{
		{name: "create", key: w.key, method: "POST", path: "/v1/invites", body: byEmail, status: 403, want: map[string]any{"code": "key_paused", "retryable": false}},
		{name: "read", key: w.key, method: "GET", path: "/v1/invites", status: 200},
		{name: "the reports", key: w.key, method: "GET", path: "/v1/pauses", status: 200, want: map[string]any{
			"data.0.key": id.String(), "data.0.channel": nil, "data.0.figures.reports": 5.0, "data.0.figures.invites.0": "inv_1",
		}},
	})
}

// The key whose messages led to a pause must not end it.
func TestAKeyDoesNotResumeWhatTheServicePaused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	err := postgres.InTx(t.Context(), w.db, func(tx pgx.Tx) error {
		_, err := traffic.InsertPause(t.Context(), tx, traffic.NewPause{
			Subject: traffic.Subject{Place: invite.Place{Project: "default"}, Scope: traffic.Prefix, Name: "+1202555"},
			Source:  traffic.ByFirewall, Why: "not_visited", By: "system", Figures: traffic.Figures{Sent: 120, Visited: 1, Expected: 9.5, WindowS: 3600},
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	w.play(t, []scenario{
		{name: "resume", key: w.admin, method: "POST", path: "/v1/pauses/resume", body: `{"channel":"sms","prefix":"+1202555"}`, status: 403, want: map[string]any{"code": "insufficient_scope"}},
		{name: "the figures", key: w.key, method: "GET", path: "/v1/pauses", status: 200, want: map[string]any{
			"data.0.prefix": "+1202555", "data.0.source": "firewall", "data.0.figures.sent": 120.0, "data.0.figures.expected": 9.5,
		}},
	})
}
