package kmstest

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"hash/crc32"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

const googleToken = "ya29.stand-in-token"

// googleIssuer is a service account and the issuer of its tokens.
type googleIssuer struct{ key *rsa.PrivateKey }

func newGoogleIssuer(t testing.TB) *googleIssuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return &googleIssuer{key}
}

// account is the file of credentials (https://google.aip.dev/auth/4112).
func (g *googleIssuer) account(t testing.TB) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(g.key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "acme", "private_key_id": "1", "client_email": "app@acme.iam.gserviceaccount.com",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "token_uri": "https://oauth2.googleapis.com/token",
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// serveGoogleToken answers an assertion with a token
// (https://developers.google.com/identity/protocols/oauth2/service-account#httprest).
func (s *Server) serveGoogleToken(w http.ResponseWriter, r *http.Request) {
	text, signature, _ := cutLast(r.PostFormValue("assertion"), ".")
	sum := sha256.Sum256([]byte(text))
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	w.Header().Set("Content-Type", "application/json")
	if err != nil || rsa.VerifyPKCS1v15(&s.issuer.key.PublicKey, crypto.SHA256, sum[:], raw) != nil || r.PostFormValue("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": googleToken, "token_type": "Bearer", "expires_in": 3600})
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// googleFaults are Google's answers (https://cloud.google.com/apis/design/errors).
func googleFaults() faults {
	return faults{
		busy: func(w http.ResponseWriter) {
			googleError(w, http.StatusTooManyRequests, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'Cryptographic requests'")
		},
		denied: func(w http.ResponseWriter) {
			googleError(w, http.StatusForbidden, "PERMISSION_DENIED", "Permission 'cloudkms.cryptoKeyVersions.useToDecrypt' denied on resource (or it may not exist).")
		},
	}
}

func googleError(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"code": status, "message": message, "status": code}})
}

// sum64 is a CRC32C as the answers spell it: a 64-bit number in a string.
type sum64 string

func sumOf(b []byte) sum64 {
	return sum64(strconv.FormatUint(uint64(crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))), 10))
}

// flexible are bytes in base64 of either alphabet, as the services take
// (https://protobuf.dev/programming-guides/json/).
type flexible []byte

// UnmarshalJSON implements json.Unmarshaler.
func (f *flexible) UnmarshalJSON(b []byte) error {
	text := strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(string(bytes.Trim(b, `"`))), "=")
	raw, err := base64.RawStdEncoding.DecodeString(text)
	*f = raw
	return err
}

// serveGoogle answers encrypt and decrypt
// (https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys/decrypt).
func (s *Server) serveGoogle(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+googleToken {
		googleError(w, http.StatusUnauthorized, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
		return
	}
	key, method, _ := cutLast(strings.TrimPrefix(r.URL.Path, "/v1/"), ":")
	var in struct {
		Plaintext     flexible `json:"plaintext"`
		PlaintextSum  sum64    `json:"plaintextCrc32c"`
		Ciphertext    flexible `json:"ciphertext"`
		CiphertextSum sum64    `json:"ciphertextCrc32c"`
		Associated    flexible `json:"additionalAuthenticatedData"`
		AssociatedSum sum64    `json:"additionalAuthenticatedDataCrc32c"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		googleError(w, http.StatusBadRequest, "INVALID_ARGUMENT", "Invalid JSON payload received.")
		return
	}
	s.record(Call{Host: r.Host, Method: method, Key: key, Associated: string(in.Associated)})
	sums := in.AssociatedSum == sumOf(in.Associated)
	switch {
	case strings.HasSuffix(key, "missing"):
		googleError(w, http.StatusNotFound, "NOT_FOUND", "CryptoKey "+key+" not found.")
	case method == "encrypt" && sums && in.PlaintextSum == sumOf(in.Plaintext):
		sealed := box(key).Seal(nil, nil, in.Plaintext, in.Associated)
		s.answerGoogle(w, map[string]any{
			"name": key + "/cryptoKeyVersions/1", "ciphertext": sealed, "ciphertextCrc32c": sumOf(sealed),
			"verifiedPlaintextCrc32c": true, "verifiedAdditionalAuthenticatedDataCrc32c": true, "protectionLevel": "SOFTWARE",
		})
	case method == "decrypt" && sums && in.CiphertextSum == sumOf(in.Ciphertext):
		plain, err := box(key).Open(nil, nil, in.Ciphertext, in.Associated)
		if err != nil {
			googleError(w, http.StatusBadRequest, "INVALID_ARGUMENT", "Decryption failed: the ciphertext is invalid.")
			return
		}
		s.answerGoogle(w, map[string]any{"plaintext": plain, "plaintextCrc32c": sumOf(plain), "usedPrimary": true, "protectionLevel": "SOFTWARE"})
	default:
		googleError(w, http.StatusBadRequest, "INVALID_ARGUMENT", "The checksum in field plaintext_crc32c did not match the data in field plaintext.")
	}
}

func (s *Server) answerGoogle(w http.ResponseWriter, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}
