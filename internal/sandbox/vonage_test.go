package sandbox_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/provider/vonage"
	"github.com/connectlink/connectlink/internal/sandbox"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
)

// The product's own client and reader meet the stand-in over the wire.
func TestVonageTakesTextsAndReportsThemSigned(t *testing.T) {
	t.Parallel()
	keys, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	box, err := seal.NewBox(keys)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var posts []provider.Post
	product := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		posts = append(posts, provider.Post{RequestURI: r.RequestURI, Header: r.Header, Raw: raw})
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(product.Close)
	s, err := sandbox.New(t.Context(), sandbox.Params{
		DB: postgrestest.Pool(t), Box: box, PublicURL: "http://127.0.0.1:1/sandbox", CallbackURL: product.URL, Pace: 10 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	vendors := httptest.NewServer(s.Vendors())
	t.Cleanup(vendors.Close)
	go func() { _ = s.Run(t.Context()) }()

	cred := s.Vonage()
	p := vonage.Params{BaseURL: vendors.URL + "/vonage/@acme", APIKey: cred.APIKey, APISecret: cred.APISecret, From: cred.From}
	sender := vonage.New(p)
	if err := sender.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	verifier, err := vonage.NewVerifier(cred.APIKey, nil, cred.SignatureSecret)
	if err != nil {
		t.Fatal(err)
	}
	callbacks := vonage.NewCallbacks(verifier)
	until := func(what string, done func(provider.Post) bool) {
		t.Helper()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-tick.C {
			mu.Lock()
			list := append([]provider.Post(nil), posts...)
			mu.Unlock()
			for _, post := range list {
				if err := callbacks.Verify(post); err != nil {
					t.Fatalf("%s: %v", post.RequestURI, err)
				}
				if done(post) {
					return
				}
			}
		}
		t.Fatalf("never: %s", what)
	}
	text := func(to string) string {
		t.Helper()
		got, err := sender.Send(t.Context(), message.Outgoing{
			InviteID: "inv_1", AttemptID: "att_" + to[len(to)-3:], SMS: &message.SMS{To: secret.New(to), Body: secret.New("Hello")},
			CallbackURL: product.URL + "/hooks/vonage/status/acme/test/inv_1/att_1",
		})
		if err != nil {
			t.Fatal(err)
		}
		return got.ProviderMessageID
	}
	for to, want := range map[string]struct {
		status invite.DeliveryStatus
		reason invite.Reason
	}{
		"+12025550100": {invite.Delivered, ""}, "+12025550103": {invite.Undelivered, invite.PhoneUnreachable},
		"+12025550105": {invite.Undelivered, invite.NumberUnknown}, "+12025550107": {invite.Undelivered, invite.CarrierFiltered},
	} {
		id := text(to)
		until(string(want.status)+" of "+to, func(post provider.Post) bool {
			r, err := callbacks.Reread(post.Raw)
			return err == nil && r.MessageID == id && r.Status == want.status && r.Reason == want.reason &&
				r.InviteID == "inv_1" && r.AttemptID == "att_"+to[len(to)-3:]
		})
	}
	id := text("+12025550110")
	until("a STOP", func(post provider.Post) bool {
		replies, err := callbacks.Replies(post)
		return err == nil && post.RequestURI == "/hooks/vonage/inbound/acme/test" && replies[0].Keyword == provider.Stop &&
			replies[0].From.Reveal() == "+12025550110" && replies[0].To[0] == cred.From
	})
	if err := sender.Redact(t.Context(), id); err != nil {
		t.Error(err)
	}
}

func TestVonageRefusesWhatItsDocumentsForbid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cred := w.Vonage()
	good := map[string]any{"message_type": "text", "channel": "sms", "to": "12025550100", "from": "15005550006", "text": "Hello", "client_ref": "inv_1:att_1"}
	for name, c := range map[string]struct {
		change func(m map[string]any)
		secret string
		want   int
	}{
		"nothing wrong":    {func(map[string]any) {}, cred.APISecret.Reveal(), 202},
		"a wrong secret":   {func(map[string]any) {}, "other", 401},
		"a number with +":  {func(m map[string]any) { m["to"] = "+12025550100" }, cred.APISecret.Reveal(), 422},
		"another sender":   {func(m map[string]any) { m["from"] = "12025550199" }, cred.APISecret.Reveal(), 422},
		"another channel":  {func(m map[string]any) { m["channel"] = "whatsapp" }, cred.APISecret.Reveal(), 422},
		"no text":          {func(m map[string]any) { delete(m, "text") }, cred.APISecret.Reveal(), 422},
		"a long reference": {func(m map[string]any) { m["client_ref"] = string(bytes.Repeat([]byte("x"), 101)) }, cred.APISecret.Reveal(), 422},
	} {
		m := map[string]any{}
		for k, v := range good {
			m[k] = v
		}
		c.change(m)
		raw, _ := json.Marshal(m)
		r := httptest.NewRequest(http.MethodPost, "/vonage/v1/messages", bytes.NewReader(raw))
		r.SetBasicAuth(cred.APIKey, c.secret)
		rec := httptest.NewRecorder()
		w.Vendors().ServeHTTP(rec, r)
		if rec.Code != c.want {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
}
