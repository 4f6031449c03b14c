package sendgrid_test

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/provider/sendgrid"
)

// The vector of sendgrid-go's own test (MIT), body included: it ends in CRLF.
const (
	vectorKey       = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g=="
	vectorSignature = "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM="
	vectorTime      = 1600112502
	vectorBody      = `[{"email":"hello@world.com","event":"dropped","reason":"Bounced Address","sg_event_id":"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA","sg_message_id":"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0","smtp-id":"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>","timestamp":1600112492}]` + "\r\n"
)

func signed(signature string, stamp int64) http.Header {
	h := http.Header{}
	h.Set("X-Twilio-Email-Event-Webhook-Signature", signature)
	h.Set("X-Twilio-Email-Event-Webhook-Timestamp", strconv.FormatInt(stamp, 10))
	return h
}

func at(unix int64) func() time.Time { return func() time.Time { return time.Unix(unix, 0) } }

func verifier(t testing.TB, keys ...string) *sendgrid.Verifier {
	t.Helper()
	v, err := sendgrid.NewVerifier(keys)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVerifyPublishedVector(t *testing.T) {
	t.Parallel()
	v := verifier(t, vectorKey).WithClock(at(vectorTime + 60))
	if err := v.Verify([]byte(vectorBody), signed(vectorSignature, vectorTime)); err != nil {
		t.Error(err)
	}
	trimmed := strings.TrimSpace(vectorBody)
	for name, c := range map[string]struct {
		body string
		head http.Header
	}{
		"without its line end": {trimmed, signed(vectorSignature, vectorTime)},
		"another time":         {vectorBody, signed(vectorSignature, vectorTime+1)},
		"no signature":         {vectorBody, signed("", vectorTime)},
		"not base64":           {vectorBody, signed("%%%", vectorTime)},
		"not ASN.1":            {vectorBody, signed(base64.StdEncoding.EncodeToString([]byte("hello")), vectorTime)},
		"zeros":                {vectorBody, signed(base64.StdEncoding.EncodeToString([]byte{0x30, 6, 2, 1, 0, 2, 1, 0}), vectorTime)},
		"only one number":      {vectorBody, signed(base64.StdEncoding.EncodeToString([]byte{0x30, 3, 2, 1, 1}), vectorTime)},
		"no headers":           {vectorBody, http.Header{}},
		"claims to be gzip too": {trimmed, func() http.Header {
			h := signed(vectorSignature, vectorTime)
			h.Set("Content-Encoding", "gzip")
			return h
		}()},
	} {
		if err := v.Verify([]byte(c.body), c.head); !errors.Is(err, sendgrid.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Repetitions come for 24 hours, so a tighter window would lose the truth of an
// outage of ours.
func TestVerifyTakesRepetitionsOfADay(t *testing.T) {
	t.Parallel()
	for age, ok := range map[time.Duration]bool{
		0: true, 24 * time.Hour: true, 25*time.Hour + time.Second: false, -30 * time.Minute: true, -2 * time.Hour: false,
	} {
		v := verifier(t, vectorKey).WithClock(at(vectorTime + int64(age/time.Second)))
		err := v.Verify([]byte(vectorBody), signed(vectorSignature, vectorTime))
		if (err == nil) != ok || err != nil && !errors.Is(err, sendgrid.ErrStale) {
			t.Errorf("aged %s: %v", age, err)
		}
	}
}

func TestVerifyWithSeveralKeysAndCompression(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	v := verifier(t, vectorKey, base64.StdEncoding.EncodeToString(der)).WithClock(at(2000000000))
	sign := func(b []byte) http.Header {
		sum := sha256.Sum256(append([]byte("2000000000"), b...))
		sig, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return signed(base64.StdEncoding.EncodeToString(sig), 2000000000)
	}
	plain := []byte("[{\"event\":\"delivered\"}]\r\n")
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(plain)
	_ = z.Close()

	if err := v.Verify(plain, sign(plain)); err != nil {
		t.Errorf("second key: %v", err)
	}
	for name, over := range map[string][]byte{"the packed bytes": packed.Bytes(), "the plain bytes": plain} {
		h := sign(over)
		h.Set("Content-Encoding", "gzip")
		if err := v.Verify(packed.Bytes(), h); err != nil {
			t.Errorf("signed over %s: %v", name, err)
		}
		if got, err := sendgrid.Decode(packed.Bytes(), h); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("Decode: %q %v", got, err)
		}
	}
}

func TestDecodeRefusesBombsAndUnknownEncodings(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(make([]byte, 9<<20))
	_ = z.Close()
	for encoding, body := range map[string][]byte{"gzip": bomb.Bytes(), "x-gzip": []byte("not gzip"), "br": []byte("x")} {
		h := http.Header{"Content-Encoding": {encoding}}
		if got, err := sendgrid.Decode(body, h); err == nil {
			t.Errorf("%s: %d bytes", encoding, len(got))
		}
	}
}

// The SDK's conversion panics on keys that are not ECDSA.
func TestNewVerifierNamesEveryBadKey(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	edKey, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der := func(k any) string {
		b, err := x509.MarshalPKIXPublicKey(k)
		if err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(b)
	}
	_, err = sendgrid.NewVerifier([]string{vectorKey, der(&rsaKey.PublicKey), der(edKey), der(&p384.PublicKey), "%%", "aGVsbG8="})
	if err == nil {
		t.Fatal("bad keys were accepted")
	}
	for _, n := range []string{"2", "3", "4", "5", "6"} {
		if !strings.Contains(err.Error(), "public key "+n+":") {
			t.Errorf("key %s is not named: %v", n, err)
		}
	}
	if strings.Contains(err.Error(), "public key 1:") {
		t.Error("the good key is named")
	}
	if _, err := sendgrid.NewVerifier(nil); err == nil {
		t.Error("a verifier without keys would refuse everything silently")
	}
}
