package twilio

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"mime"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/connectlink/connectlink/internal/secret"
)

// WithSharedKeys makes the verifier take callbacks that are signed with a shared
// key, too: where a Webhook Rule matches the URL, Twilio signs with HMAC-SHA256
// and a key of the operator's in place of the auth token, and says so in
// X-Twilio-Webhooks-Signature-Settings
// (https://www.twilio.com/docs/usage/webhooks/webhook-shared-keys, public beta).
// The header is not needed: each key is tried with its own algorithm only. Several
// keys are valid while they are rotated.
func (v *Verifier) WithSharedKeys(keys ...secret.Text) *Verifier {
	for _, k := range keys {
		if !k.IsZero() {
			v.shared = append(v.shared, k)
		}
	}
	return v
}

// signedWithSharedKey reports whether one of the shared keys signed the request.
// The signed text is that of X-Twilio-Signature; only key and hash differ.
func (v *Verifier) signedWithSharedKey(full, contentType string, raw []byte, signature string) bool {
	if len(v.shared) == 0 {
		return false
	}
	want, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		return false
	}
	var suffix strings.Builder
	if kind, _, err := mime.ParseMediaType(contentType); err == nil && kind == "application/x-www-form-urlencoded" {
		form, err := url.ParseQuery(string(raw))
		if err != nil {
			return false
		}
		names := make([]string, 0, len(form))
		for name := range form {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			suffix.WriteString(name + form.Get(name))
		}
	} else if u, err := url.Parse(full); err != nil || len(raw) > 0 && !digestMatches(u.Query().Get("bodySHA256"), raw) {
		return false
	}
	for _, address := range withAndWithoutPort(full) {
		for _, key := range v.shared {
			mac := hmac.New(sha256.New, []byte(key.Reveal()))
			mac.Write([]byte(address + suffix.String()))
			if hmac.Equal(mac.Sum(nil), want) {
				return true
			}
		}
	}
	return false
}

func digestMatches(digest string, raw []byte) bool {
	sum := sha256.Sum256(raw)
	return hmac.Equal([]byte(strings.ToLower(digest)), []byte(hex.EncodeToString(sum[:])))
}

// withAndWithoutPort returns a URL as it is and with its default port added or
// taken away: Twilio is not consistent in it.
func withAndWithoutPort(full string) []string {
	u, err := url.Parse(full)
	if err != nil {
		return []string{full}
	}
	port := map[string]string{"https": "443", "http": "80"}[u.Scheme]
	host := u.Host
	switch {
	case u.Port() == "":
		host = net.JoinHostPort(u.Hostname(), port)
	case u.Port() == port:
		host = strings.TrimSuffix(u.Host, ":"+port)
	}
	rest := strings.TrimPrefix(full, u.Scheme+"://"+u.Host)
	return []string{full, u.Scheme + "://" + host + rest}
}
