package twilio_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"sort"
	"testing"

	"github.com/connectlink/connectlink/internal/provider/twilio"
	"github.com/connectlink/connectlink/internal/secret"
)

const formType = "application/x-www-form-urlencoded; charset=UTF-8"

// sign follows Twilio's description, apart from the SDK: URL, then each
// parameter's name and first value, sorted by name.
func sign(token, full string, form url.Values) string {
	names := make([]string, 0, len(form))
	for k := range form {
		names = append(names, k)
	}
	sort.Strings(names)
	text := full
	for _, k := range names {
		text += k + form[k][0]
	}
	mac := hmac.New(sha1.New, []byte(token))
	mac.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// The vector of Twilio's own libraries.
func TestVerifyPublishedVector(t *testing.T) {
	t.Parallel()
	form := url.Values{
		"CallSid": {"CA1234567890ABCDE"}, "Caller": {"+14158675309"}, "Digits": {"1234"}, "From": {"+14158675309"},
		"To": {"+18005551212"}, "Reason": {"Participant"}, "ReasonConferenceEnded": {"test"},
	}
	v, err := twilio.NewVerifier("https://mycompany.com", secret.New("12345"))
	if err != nil {
		t.Fatal(err)
	}
	const signature = "vOEb5UThFn24KEfnOFLQY2AE5FY="
	for _, public := range []string{"https://mycompany.com", "https://mycompany.com/", "https://mycompany.com:443"} {
		v, err = twilio.NewVerifier(public, secret.New("12345"))
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Verify("/myapp.php?foo=1&bar=2", formType, []byte(form.Encode()), signature); err != nil {
			t.Errorf("%s: %v", public, err)
		}
	}
	for name, c := range map[string]struct{ uri, body, signature string }{
		"another query":    {"/myapp.php?foo=1&bar=3", form.Encode(), signature},
		"reordered query":  {"/myapp.php?bar=2&foo=1", form.Encode(), signature},
		"another body":     {"/myapp.php?foo=1&bar=2", form.Encode() + "&x=1", signature},
		"no signature":     {"/myapp.php?foo=1&bar=2", form.Encode(), ""},
		"not a path":       {"https://mycompany.com/myapp.php?foo=1&bar=2", form.Encode(), signature},
		"a broken body":    {"/myapp.php?foo=1&bar=2", "%zz", signature},
		"another's, valid": {"/myapp.php?foo=1&bar=2", form.Encode(), sign("54321", "https://mycompany.com/myapp.php?foo=1&bar=2", form)},
	} {
		if v.Verify(c.uri, formType, []byte(c.body), c.signature) == nil {
			t.Errorf("%s: verified", name)
		}
	}
}

func TestVerifyWhileATokenIsRotated(t *testing.T) {
	t.Parallel()
	v, err := twilio.NewVerifier("https://go.brand.example", secret.New("primary"), secret.Text{}, secret.New("secondary"))
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{"MessageSid": {isSID(1)}, "MessageStatus": {"delivered"}, "New": {"first", "second"}}
	for token, ok := range map[string]bool{"primary": true, "secondary": true, "": false, "third": false} {
		err := v.Verify("/hooks/x", formType, []byte(form.Encode()), sign(token, "https://go.brand.example/hooks/x", form))
		if (err == nil) != ok {
			t.Errorf("token %q: %v", token, err)
		}
	}
}

func TestVerifyBehindAPathAndPorts(t *testing.T) {
	t.Parallel()
	form := url.Values{"MessageSid": {isSID(1)}}
	for _, c := range []struct{ public, uri, signed string }{
		{"https://brand.example/links", "/links/hooks/x", "https://brand.example/links/hooks/x"},
		{"https://brand.example/links/", "/hooks/x", "https://brand.example/links/hooks/x"}, // the proxy strips the prefix
		{"https://brand.example/links", "/linksandmore", "https://brand.example/links/linksandmore"},
		{"https://brand.example", "/hooks/x", "https://brand.example:443/hooks/x"},
		{"https://brand.example:8443", "/hooks/x", "https://brand.example:8443/hooks/x"},
		{"https://brand.example:8443", "/hooks/x", "https://brand.example/hooks/x"},
		{"http://127.0.0.1:8080", "/hooks/a%20b", "http://127.0.0.1:8080/hooks/a%20b"},
	} {
		v, err := twilio.NewVerifier(c.public, secret.New("t"))
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Verify(c.uri, formType, []byte(form.Encode()), sign("t", c.signed, form)); err != nil {
			t.Errorf("%s %s signed as %s: %v", c.public, c.uri, c.signed, err)
		}
	}
}

func TestVerifyJSONByItsDigest(t *testing.T) {
	t.Parallel()
	v, err := twilio.NewVerifier("https://go.brand.example", secret.New("t"))
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"a":1}`)
	sum := sha256.Sum256(body)
	uri := "/hooks/x?bodySHA256=" + hex.EncodeToString(sum[:])
	signature := sign("t", "https://go.brand.example"+uri, nil)
	if err := v.Verify(uri, "application/json", body, signature); err != nil {
		t.Error(err)
	}
	if v.Verify(uri, "application/json", []byte(`{"a":2}`), signature) == nil {
		t.Error("another body verified")
	}
	if v.Verify("/hooks/x", "application/json", body, sign("t", "https://go.brand.example/hooks/x", nil)) == nil {
		t.Error("a body without a digest verified: it is not covered by the signature")
	}
	// The signature of a form does not cover the same bytes read as something else.
	form := url.Values{"MessageSid": {isSID(1)}, "MessageStatus": {"delivered"}}
	signature = sign("t", "https://go.brand.example/hooks/x", form)
	for kind, ok := range map[string]bool{
		formType: true, "application/json": false, "text/plain": false, "multipart/form-data; boundary=x": false, "": false, "application/": false,
	} {
		if err := v.Verify("/hooks/x", kind, []byte(form.Encode()), signature); (err == nil) != ok {
			t.Errorf("a body of type %q signed as a form: %v", kind, err)
		}
	}
}

func TestNewVerifierRefusesWhatCanNeverVerify(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		public string
		token  string
	}{{"go.brand.example", "t"}, {"", "t"}, {"ftp://x.example", "t"}, {"https://go.brand.example", ""}} {
		if _, err := twilio.NewVerifier(c.public, secret.New(c.token)); err == nil {
			t.Errorf("%q with token %q was accepted", c.public, c.token)
		}
	}
}

// TestVendors9CallbacksSignedWithASharedKey: a Webhook Rule at Twilio replaces the
// auth token by a key of the operator's, and SHA-1 by SHA-256.
func TestVendors9CallbacksSignedWithASharedKey(t *testing.T) {
	t.Parallel()
	signed := func(key, text string) string {
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte(text))
		return base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	v, err := twilio.NewVerifier("https://go.brand.example", secret.New("token"))
	if err != nil {
		t.Fatal(err)
	}
	v.WithSharedKeys(secret.New("old"), secret.Text{}, secret.New("new"))
	const uri = "/hooks/twilio/status/default/live/inv_1/att_1"
	body := []byte("MessageStatus=delivered&MessageSid=SM1")
	const text = "https://go.brand.example" + uri + "MessageSidSM1MessageStatusdelivered"
	for name, c := range map[string]struct {
		signature string
		raw       []byte
		ok        bool
	}{
		"the new key":                 {signed("new", text), body, true},
		"the old key":                 {signed("old", text), body, true},
		"with the default port":       {signed("new", "https://go.brand.example:443"+uri+"MessageSidSM1MessageStatusdelivered"), body, true},
		"the auth token, as before":   {sign("token", "https://go.brand.example"+uri, url.Values{"MessageSid": {"SM1"}, "MessageStatus": {"delivered"}}), body, true},
		"the auth token with SHA-256": {signed("token", text), body, false},
		"a shared key with SHA-1":     {sign("new", "https://go.brand.example"+uri, url.Values{"MessageSid": {"SM1"}, "MessageStatus": {"delivered"}}), body, false},
		"another key":                 {signed("other", text), body, false},
		"an empty key":                {signed("", text), body, false},
		"another body":                {signed("new", text), []byte("MessageStatus=failed&MessageSid=SM1"), false},
		"no base64":                   {"!!", body, false},
	} {
		if err := v.Verify(uri, formType, c.raw, c.signature); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	sum := sha256.Sum256([]byte(`{"a":1}`))
	json := "/hooks/x?bodySHA256=" + hex.EncodeToString(sum[:])
	if err := v.Verify(json, "application/json", []byte(`{"a":1}`), signed("new", "https://go.brand.example"+json)); err != nil {
		t.Errorf("a JSON body: %v", err)
	}
	if v.Verify(json, "application/json", []byte(`{"a":2}`), signed("new", "https://go.brand.example"+json)) == nil {
		t.Error("a JSON body that is not the signed one")
	}
}
