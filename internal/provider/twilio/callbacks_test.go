package twilio_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"slices"
	"testing"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/provider/providertest"
	"github.com/connectlink/connectlink/internal/provider/twilio"
	"github.com/connectlink/connectlink/internal/secret"
)

func TestCallbacksConform(t *testing.T) {
	t.Parallel()
	const origin = "https://go.brand.example"
	providertest.RunCallbacks(t, providertest.Callbacks{
		New: func(t testing.TB) provider.Callbacks {
			v, err := twilio.NewVerifier(origin, secret.New(authToken))
			if err != nil {
				t.Fatal(err)
			}
			return twilio.NewCallbacks(v)
		},
		Sign: func(t testing.TB, p *provider.Post) {
			form, err := url.ParseQuery(string(p.Raw))
			if err != nil {
				t.Fatal(err)
			}
			keys := make([]string, 0, len(form))
			for k := range form {
				keys = append(keys, k)
			}
			slices.Sort(keys)
			mac := hmac.New(sha1.New, []byte(authToken))
			mac.Write([]byte(origin + p.RequestURI))
			for _, k := range keys {
				mac.Write([]byte(k + form.Get(k)))
			}
			p.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			p.Header.Set(twilio.SignatureHeader, base64.StdEncoding.EncodeToString(mac.Sum(nil)))
		},
		Report: func(inviteID, attemptID string, kind providertest.Kind) provider.Post {
			form := url.Values{"MessageSid": {isSID(1)}, "AccountSid": {account}, "To": {"+12025550001"}}
			switch kind {
			case providertest.Delivered:
				form.Set("MessageStatus", "delivered")
			case providertest.Refused:
				form.Set("MessageStatus", "undelivered")
				form.Set("ErrorCode", "39999")
			case providertest.Unheard:
				form.Set("MessageStatus", "teleported")
			}
			return provider.Post{
				Provider: twilio.Provider, Place: invite.Place{Project: "default"}, InviteID: inviteID, AttemptID: attemptID,
				RequestURI: "/hooks/twilio/status/default/live/" + inviteID + "/" + attemptID, Raw: []byte(form.Encode()),
			}
		},
		Reply: func(from, to, text string) provider.Post {
			sum := sha256.Sum256([]byte(text))
			form := url.Values{"MessageSid": {"SM" + hex.EncodeToString(sum[:16])}, "From": {from}, "To": {to}, "Body": {text}}
			return provider.Post{
				Provider: twilio.Provider, Place: invite.Place{Project: "default"}, RequestURI: "/hooks/twilio/inbound/default/live", Raw: []byte(form.Encode()),
			}
		},
	})
}
