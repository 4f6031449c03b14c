package vonage_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/provider/providertest"
	"github.com/connectlink/connectlink/internal/provider/vonage"
	"github.com/connectlink/connectlink/internal/secret"
)

const signatureSecret = "signaturesecret0123456789"

// token is what Vonage signs a body with; change may spoil it.
func token(raw []byte, with string, at time.Time, change func(header, claims map[string]any)) string {
	sum := sha256.Sum256(raw)
	header := map[string]any{"alg": "HS256", "typ": "JWT"}
	claims := map[string]any{
		"iat": at.Unix(), "jti": "c5ba8f24-1a14-4c10-bfdf-3fbe8ce511b5", "iss": "Vonage", "payload_hash": hex.EncodeToString(sum[:]),
		"api_key": apiKey, "application_id": "aaaaaaaa-bbbb-cccc-dddd-0123456789ab",
	}
	if change != nil {
		change(header, claims)
	}
	h, _ := json.Marshal(header)
	c, _ := json.Marshal(claims)
	signed := base64.RawURLEncoding.EncodeToString(h) + "." + base64.RawURLEncoding.EncodeToString(c)
	newHash := map[any]func() hash.Hash{"HS512": sha512.New}[header["alg"]]
	if newHash == nil {
		newHash = sha256.New
	}
	mac := hmac.New(newHash, []byte(with))
	mac.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func verifier(t testing.TB) *vonage.Verifier {
	t.Helper()
	v, err := vonage.NewVerifier(apiKey, nil, secret.New(signatureSecret), secret.New("older"))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func status(more map[string]any) []byte {
	m := map[string]any{
		"message_uuid": "aaaaaaaa-bbbb-cccc-dddd-0123456789ab", "to": "12025550001", "from": "15005550006", "channel": "sms",
		"timestamp": "2026-11-23T10:00:00Z",
	}
	for k, v := range more {
		m[k] = v
	}
	raw, _ := json.Marshal(m)
	return raw
}

func TestCallbacksConform(t *testing.T) {
	t.Parallel()
	providertest.RunCallbacks(t, providertest.Callbacks{
		New: func(t testing.TB) provider.Callbacks { return vonage.NewCallbacks(verifier(t)) },
		Sign: func(_ testing.TB, p *provider.Post) {
			p.Header.Set("Authorization", "Bearer "+token(p.Raw, signatureSecret, time.Now(), nil))
		},
		Report: func(inviteID, attemptID string, kind providertest.Kind) provider.Post {
			more := map[string]any{"client_ref": inviteID + ":" + attemptID}
			switch kind {
			case providertest.Delivered:
				more["status"] = "delivered"
			case providertest.Refused:
				more["status"], more["error"] = "rejected", map[string]any{"title": 9999, "type": "https://developer.vonage.com/api-errors/messages#9999"}
			case providertest.Unheard:
				more["status"] = "teleported"
			}
			return provider.Post{
				Provider: vonage.Provider, Place: invite.Place{Project: "default"}, InviteID: inviteID, AttemptID: attemptID, Header: http.Header{},
				RequestURI: "/hooks/vonage/status/default/live/" + inviteID + "/" + attemptID, Raw: status(more),
			}
		},
		Reply: func(from, to, text string) provider.Post {
			sum := sha256.Sum256([]byte(text))
			return provider.Post{
				Provider: vonage.Provider, Place: invite.Place{Project: "default"}, Header: http.Header{}, RequestURI: "/hooks/vonage/inbound/default/live",
				Raw: status(map[string]any{
					"message_uuid": hex.EncodeToString(sum[:16]), "from": strings.TrimPrefix(from, "+"), "to": strings.TrimPrefix(to, "+"), "text": text,
				}),
			}
		},
	})
}

// Vonage repeats for a day what is not answered with 2xx, and these would never be
// read better.
func TestASignedInboundMessageThatIsNoTextIsTakenAndDropped(t *testing.T) {
	t.Parallel()
	c := vonage.NewCallbacks(verifier(t))
	for name, more := range map[string]map[string]any{
		"another channel": {"channel": "whatsapp", "text": "STOP"}, "from letters": {"from": "ACME", "text": "STOP"}, "without a sender": {"from": "", "text": "STOP"},
		"without a recipient": {"to": "", "text": "STOP"},
	} {
		if replies, err := c.Replies(provider.Post{Raw: status(more)}); err != nil || len(replies) != 0 {
			t.Errorf("%s: %d replies, %v", name, len(replies), err)
		}
	}
	if _, err := c.Replies(provider.Post{Raw: status(map[string]any{"status": "delivered"})}); err == nil {
		t.Error("a status at the address for replies is dropped: the operator would not see that the addresses are exchanged")
	}
}

func TestTokensThatAreNotVonagesAreRefused(t *testing.T) {
	t.Parallel()
	v, raw, now := verifier(t), []byte(`{"a":1}`), time.Now()
	good := token(raw, signatureSecret, now, nil)
	for _, ok := range []string{"Bearer " + good, "bearer " + good, "Bearer " + token(raw, "older", now.Add(-24*time.Hour), nil)} {
		if err := v.Verify(raw, ok); err != nil {
			t.Errorf("%s…: %v", ok[:20], err)
		}
	}
	parts := strings.Split(good, ".")
	set := func(k string, to any) func(header, claims map[string]any) {
		return func(header, claims map[string]any) {
			if k == "alg" {
				header[k] = to
			} else if to == nil {
				delete(claims, k)
			} else {
				claims[k] = to
			}
		}
	}
	for name, bad := range map[string]string{
		"none": "", "not a bearer": "Basic " + good, "no signature": "Bearer " + parts[0] + "." + parts[1] + ".", "two parts": "Bearer " + parts[0] + "." + parts[1],
		"another secret":      "Bearer " + token(raw, "stolen", now, nil),
		"an empty secret":     "Bearer " + token(raw, "", now, nil),
		"algorithm none":      "Bearer " + token(raw, signatureSecret, now, set("alg", "none")),
		"another algorithm":   "Bearer " + token(raw, signatureSecret, now, set("alg", "HS512")),
		"another body":        "Bearer " + token([]byte(`{"a":2}`), signatureSecret, now, nil),
		"no hash of the body": "Bearer " + token(raw, signatureSecret, now, set("payload_hash", nil)),
		"another account":     "Bearer " + token(raw, signatureSecret, now, set("api_key", "other")),
		"no account":          "Bearer " + token(raw, signatureSecret, now, set("api_key", nil)),
		"two days old":        "Bearer " + token(raw, signatureSecret, now.Add(-48*time.Hour), nil),
		"of tomorrow":         "Bearer " + token(raw, signatureSecret, now.Add(24*time.Hour), nil),
		"no time":             "Bearer " + token(raw, signatureSecret, now, set("iat", nil)),
		"padded":              "Bearer " + good + "=",
		"huge":                "Bearer " + strings.Repeat("a", 9000) + "." + parts[1] + "." + parts[2],
	} {
		if err := v.Verify(raw, bad); err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
	if _, err := vonage.NewVerifier(apiKey, nil, secret.Text{}); err == nil {
		t.Error("a verifier without a secret")
	}
	if shown := fmt.Sprintf("%v %+v %#v", v, v, v); strings.Contains(shown, signatureSecret) {
		t.Error("a verifier prints its secret")
	}
}

// Every code of the published list, in a status: the words beside it decide.
func TestFateOfATextIsOneOfOurWords(t *testing.T) {
	t.Parallel()
	c := vonage.NewCallbacks(verifier(t))
	read := func(word string, title any) provider.Report {
		more := map[string]any{"status": word}
		if title != nil {
			more["error"] = map[string]any{"title": title, "detail": "words about +12025550001"}
		}
		r, err := c.Reread(status(more))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for word, want := range map[string]invite.DeliveryStatus{
		"submitted": invite.Sent, "delivered": invite.Delivered, "read": invite.Delivered, "undeliverable": invite.Undelivered, "buffered": "",
	} {
		if r := read(word, nil); r.Status != want || r.At.IsZero() || r.Code != "" {
			t.Errorf("%s: %+v", word, r)
		}
	}
	blocks := map[int]invite.Block{1170: invite.BadNumber, 1190: invite.BadNumber, 1240: invite.OptOut}
	for _, code := range []int{
		1000, 1010, 1020, 1021, 1022, 1030, 1040, 1050, 1060, 1070, 1080, 1090, 1100, 1110, 1120, 1130, 1140, 1150, 1160, 1170, 1180, 1190, 1200,
		1210, 1220, 1230, 1240, 1241, 1250, 1260, 1270, 1280, 1290, 1300, 1310, 1320, 1330, 1340, 1350, 1360, 1370, 9999,
	} {
		for _, title := range []any{code, fmt.Sprint(code)} {
			r := read("rejected", title)
			block, blocked := invite.BlockOf(r.Status, r.Reason)
			if r.Status != invite.Undelivered || r.Reason == "" || r.Code != fmt.Sprint(code) || block != blocks[code] || blocked != (blocks[code] != "") {
				t.Errorf("%d: %s %s with code %q blocks %q", code, r.Status, r.Reason, r.Code, block)
			}
		}
	}
	r, err := c.Reread([]byte(`{"message_uuid":"aaaa-bbbb","status":"rejected","error":{"title":"Illegal Number","type":"https://developer.vonage.com/api-errors/messages#1240"}}`))
	if err != nil || r.Reason != invite.OptedOut {
		t.Errorf("%+v, %v: the code stands in the type, too", r, err)
	}
}
