// Package kmstest is a stand-in for AWS KMS, Google Cloud KMS and Vault's transit engine,
// which answers at the services' own names: through a proxy and with a certificate that the
// program under test is told of by HTTPS_PROXY and SSL_CERT_FILE. The program runs as a
// process, with the vendors' client libraries and nothing replaced in it.
//
// Each ciphertext is bound to its key and to the associated data, as the services do.
package kmstest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Hosts and keys of the stand-in. Every key that ends with "missing" is unknown.
const (
	Region    = "eu-central-1"
	VaultHost = "vault.corp.test:8200"

	AWS    = "aws-kms://arn:aws:kms:" + Region + ":111122223333:key/11111111-2222-3333-4444-555555555555"
	Google = "gcp-kms://projects/acme/locations/europe-west3/keyRings/app/cryptoKeys/keyset"
	Vault  = "hcvault://" + VaultHost + "/transit/keys/keyset"

	accessKey  = "AKIAIOSFODNN7EXAMPLE"
	vaultToken = "hvs.stand-in-token"
)

// Server is the stand-in.
type Server struct {
	proxy, certificate, account string
	issuer                      *googleIssuer

	mu     sync.Mutex
	away   bool
	busy   int // answers that say to try again
	denied bool
	calls  []Call
}

// Call is a request that the stand-in took.
type Call struct {
	Host, Method, Key string
	Associated        string // as it was on the wire
}

// New starts a stand-in.
func New(t testing.TB) *Server {
	t.Helper()
	dir := t.TempDir()
	s := &Server{certificate: filepath.Join(dir, "ca.pem"), account: filepath.Join(dir, "account.json")}
	names := []string{"kms." + Region + ".amazonaws.com", "cloudkms.googleapis.com", "oauth2.googleapis.com", strings.Split(VaultHost, ":")[0]}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+names[0]+"/", s.gate(s.serveAWS, awsFaults()))
	mux.HandleFunc("POST "+names[1]+"/v1/", s.gate(s.serveGoogle, googleFaults()))
	mux.HandleFunc("POST "+names[2]+"/token", s.serveGoogleToken)
	mux.HandleFunc("PUT "+names[3]+"/v1/transit/", s.gate(s.serveVault, vaultFaults()))
	server := httptest.NewUnstartedServer(mux)
	cert, text := newCertificate(t, names)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.tunnel(w, r, server.Listener.Addr().String()) }))
	t.Cleanup(proxy.Close)
	s.proxy = proxy.URL
	s.issuer = newGoogleIssuer(t)
	write(t, s.certificate, text)
	write(t, s.account, s.issuer.account(t))
	return s
}

func write(t testing.TB, file string, text []byte) {
	t.Helper()
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Env is the environment of a process that uses the stand-in, with credentials of all three.
func (s *Server) Env() map[string]string {
	return map[string]string{
		"HTTPS_PROXY": s.proxy, "SSL_CERT_FILE": s.certificate,
		"AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
		"GOOGLE_APPLICATION_CREDENTIALS": s.account,
		"VAULT_TOKEN":                    vaultToken,
	}
}

// SetAway cuts the network off, or mends it.
func (s *Server) SetAway(away bool) { s.set(func() { s.away = away }) }

// SetBusy makes the next n answers ask to try again.
func (s *Server) SetBusy(n int) { s.set(func() { s.busy = n }) }

// SetDenied takes the right to use any key, or gives it back.
func (s *Server) SetDenied(denied bool) { s.set(func() { s.denied = denied }) }

func (s *Server) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// Calls are the calls that were let through.
func (s *Server) Calls() (out []Call) {
	s.set(func() { out = append(out, s.calls...) })
	return out
}

// faults are a service's answers to a call that it does not carry out.
type faults struct{ busy, denied func(http.ResponseWriter) }

// gate answers for a service that is busy or denies.
func (s *Server) gate(next http.HandlerFunc, f faults) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		busy, denied := false, false
		s.set(func() {
			if busy = s.busy > 0; busy {
				s.busy--
			}
			denied = s.denied
		})
		switch {
		case busy:
			f.busy(w)
		case denied:
			f.denied(w)
		default:
			next(w, r)
		}
	}
}

func (s *Server) record(c Call) { s.set(func() { s.calls = append(s.calls, c) }) }

// tunnel is a proxy's CONNECT (RFC 9110, 9.3.6), which leads to the stand-in.
func (s *Server) tunnel(w http.ResponseWriter, r *http.Request, to string) {
	away := false
	s.set(func() { away = s.away })
	if r.Method != http.MethodConnect || away {
		http.Error(w, "away", http.StatusBadGateway)
		return
	}
	server, err := net.Dial("tcp", to)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	client, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		_ = server.Close()
		return
	}
	_, _ = io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n")
	go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
	go func() { _, _ = io.Copy(client, server); _ = client.Close() }()
}

// newCertificate makes a certificate for the names, which is its own authority.
func newCertificate(t testing.TB, names []string) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kmstest"}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// box is the cipher of a key, which its name determines.
func box(key string) cipher.AEAD {
	sum := sha256.Sum256([]byte("kmstest " + key))
	block, err := aes.NewCipher(sum[:])
	if err != nil {
		panic(err)
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return gcm
}
