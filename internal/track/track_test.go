package track_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/provider/sendgrid"
	"github.com/connectlink/connectlink/internal/provider/twilio"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/track"
	"github.com/connectlink/connectlink/internal/track/tracktest"
)

const (
	publicURL = "https://connect.example.test"
	authToken = "12345"
)

// world is a Tracker with real edges, and the vendors' side of their secrets.
type world struct {
	*tracktest.Kit
	*track.Tracker
	t      testing.TB
	mail   *ecdsa.PrivateKey
	mu     sync.Mutex
	later  []track.Check
	hooks  []invite.Effect
	events int // posts of SendGrid's that were verified
}

func newWorld(t testing.TB, change ...func(*track.Params)) *world {
	t.Helper()
	w := &world{Kit: tracktest.New(t), t: t}
	var err error
	if w.mail, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&w.mail.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	mailVerifier, err := sendgrid.NewVerifier([]string{base64.StdEncoding.EncodeToString(der)})
	if err != nil {
		t.Fatal(err)
	}
	textVerifier, err := twilio.NewVerifier(publicURL, secret.New(authToken))
	if err != nil {
		t.Fatal(err)
	}
	callbacks := map[string]provider.Callbacks{
		"sendgrid": sendgrid.NewCallbacks(mailVerifier), "twilio": twilio.NewCallbacks(textVerifier),
	}
	client := w.Client()
	p := track.Params{
		DB: w.Pool, Box: w.Box,
		Accounts: func(place invite.Place, _ string) (track.Accounts, bool) { return client, place.Project == "default" },
		Callbacks: func(name string, place invite.Place) (provider.Callbacks, bool) {
			c, ok := callbacks[name]
			return c, ok && place.Project == "default"
		},
		Senders: func(invite.Place) []string { return nil },
		Publish: func(_ context.Context, _ pgx.Tx, applied ...ledger.Applied) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, a := range applied {
				w.hooks = append(w.hooks, a.Effects...)
			}
			return nil
		},
		Later: func(_ context.Context, _ pgx.Tx, c track.Check) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.later = append(w.later, c)
			return nil
		},
		SawReport: func(name string, _ invite.Place) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if name == "sendgrid" {
				w.events++
			}
		},
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	for _, c := range change {
		c(&p)
	}
	if w.Tracker, err = track.New(p); err != nil {
		t.Fatal(err)
	}
	return w
}

// checks takes the jobs that were enqueued.
func (w *world) checks() []track.Check {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.later
	w.later = nil
	return out
}

func (w *world) published(e invite.Effect) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, h := range w.hooks {
		if h == e {
			n++
		}
	}
	return n
}

func success(m tracktest.Made, account string) []byte {
	b, _ := json.Marshal(map[string]any{
		"event": "CONNECTION_SUCCESS", "connect_token": m.Token.Reveal(), "environment": "production",
		"connect_session_id": json.RawMessage("1.4058728083872854e+38"),
		"account":            map[string]any{"id": account, "name": "jane@example.com", "external_id": "user-1", "app": map[string]any{"name_slug": "slack"}},
	})
	return b
}

func failure(m tracktest.Made, words string) []byte {
	b, _ := json.Marshal(map[string]any{"event": "CONNECTION_ERROR", "connect_token": m.Token.Reveal(), "environment": "production", "error": words})
	return b
}

// mailPost signs a post as SendGrid does.
func (w *world) mailPost(events ...map[string]any) ([]byte, http.Header) {
	w.t.Helper()
	raw, err := json.Marshal(events)
	if err != nil {
		w.t.Fatal(err)
	}
	raw = append(raw, "\r\n"...)
	return raw, w.sign(raw)
}

// sign signs a post's body as SendGrid does.
func (w *world) sign(raw []byte) http.Header {
	w.t.Helper()
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	digest := sha256.Sum256(append([]byte(stamp), raw...))
	sig, err := ecdsa.SignASN1(rand.Reader, w.mail, digest[:])
	if err != nil {
		w.t.Fatal(err)
	}
	h := http.Header{}
	h.Set("X-Twilio-Email-Event-Webhook-Signature", base64.StdEncoding.EncodeToString(sig))
	h.Set("X-Twilio-Email-Event-Webhook-Timestamp", stamp)
	return h
}

func mailEvent(m tracktest.Made, attempt invite.AttemptID, name, id string, at time.Time, more map[string]any) map[string]any {
	e := map[string]any{
		"event": name, "sg_event_id": id, "sg_message_id": "14c5d75ce93.recvd-abc-1.0", "timestamp": at.Unix(),
		"email": "pat@customer.example", "cl_invite": m.ID.String(), "cl_attempt": attempt.String(), "cl_env": "test",
	}
	for k, v := range more {
		e[k] = v
	}
	return e
}

// textPost signs a status callback as Twilio does.
func textPost(m tracktest.Made, attempt invite.AttemptID, status, code string) provider.Post {
	return textPostAs("SM0123456789abcdef0123456789abcdef", m, attempt, status, code)
}

func textPostAs(sid string, m tracktest.Made, attempt invite.AttemptID, status, code string) provider.Post {
	form := url.Values{
		"AccountSid": {"AC00000000000000000000000000000000"}, "MessageSid": {sid},
		"MessageStatus": {status}, "To": {"+12025550100"}, "RawDlrDoneDate": {"2611231030"},
	}
	if code != "" {
		form.Set("ErrorCode", code)
	}
	uri := "/hooks/twilio/status/default/test/" + m.ID.String() + "/" + attempt.String()
	p := formPost(uri, form)
	p.InviteID, p.AttemptID = m.ID.String(), attempt.String()
	return p
}

// formPost is a form as Twilio posts it.
func formPost(uri string, form url.Values) provider.Post {
	p := provider.Post{Provider: "twilio", Place: invite.Place{Project: "default"}, RequestURI: uri, Header: http.Header{}, Raw: []byte(form.Encode())}
	p.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	p.Header.Set(twilio.SignatureHeader, signForm(uri, form))
	return p
}

// SendGrid takes a post of SendGrid's.
func (w *world) SendGrid(ctx context.Context, place invite.Place, raw []byte, header http.Header) error {
	return w.Reports(ctx, provider.Post{Provider: "sendgrid", Place: place, Header: header, Raw: raw})
}

// Reply takes a text that a person sent.
func (w *world) Reply(ctx context.Context, p provider.Post) error {
	_, err := w.Replies(ctx, p)
	return err
}

// signForm signs a form as Twilio does.
func signForm(uri string, form url.Values) string {
	mac := hmac.New(sha1.New, []byte(authToken))
	mac.Write([]byte(publicURL + uri))
	keys := make([]string, 0, len(form))
	for k := range form {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		mac.Write([]byte(k + form.Get(k)))
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
