package sendgrid_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/provider/providertest"
	"github.com/connectlink/connectlink/internal/provider/sendgrid"
)

func TestCallbacksConform(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	providertest.RunCallbacks(t, providertest.Callbacks{
		New: func(t testing.TB) provider.Callbacks {
			return sendgrid.NewCallbacks(verifier(t, base64.StdEncoding.EncodeToString(der)))
		},
		Sign: func(t testing.TB, p *provider.Post) {
			stamp := time.Now().Unix()
			sum := sha256.Sum256(append([]byte(strconv.FormatInt(stamp, 10)), p.Raw...))
			signature, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
			if err != nil {
				t.Fatal(err)
			}
			p.Header = signed(base64.StdEncoding.EncodeToString(signature), stamp)
		},
		Report: func(inviteID, attemptID string, kind providertest.Kind) provider.Post {
			e := map[string]any{
				"sg_event_id": string(kind), "sg_message_id": "14c5d75ce93.recvd-abc-1.0", "timestamp": 1790000000, "email": "pat@customer.example",
				"cl_invite": inviteID, "cl_attempt": attemptID, "cl_env": "live",
			}
			switch kind {
			case providertest.Delivered:
				e["event"] = "delivered"
			case providertest.Refused:
				e["event"], e["type"], e["status"], e["reason"] = "bounce", "bounce", "5.9.9", "no reason that is known"
			case providertest.Unheard:
				e["event"] = "teleported"
			}
			raw, _ := json.Marshal([]any{e})
			return provider.Post{Provider: sendgrid.Provider, Place: invite.Place{Project: "default"}, RequestURI: "/hooks/sendgrid/default/live", Raw: append(raw, "\r\n"...)}
		},
	})
}
