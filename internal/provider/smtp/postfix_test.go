package smtp_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/provider/smtp"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/wire"
)

// postfix is a private instance of the Postfix that is installed here.
type postfix struct {
	t       *testing.T
	dir     string
	command []string
	addr    string
	roots   *x509.CertPool
}

// newPostfix starts a Postfix that requires STARTTLS, on a free loopback port,
// with its own configuration, queue and data. It skips where there is none, or
// no right to start one, but in CI.
func newPostfix(t *testing.T) *postfix {
	t.Helper()
	missing := func(why string) {
		t.Helper()
		if os.Getenv("CI") != "" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	path, err := exec.LookPath("postfix")
	if err != nil {
		path = "/usr/sbin/postfix"
	}
	if _, err := os.Stat(path); err != nil {
		missing("Postfix is not installed (Debian's package postfix): a real mail server that requires STARTTLS is not tried")
	}
	p := &postfix{t: t, dir: t.TempDir(), command: []string{path}}
	if os.Geteuid() != 0 {
		if exec.Command("sudo", "-n", "true").Run() != nil {
			missing("Postfix can be started by root only: a real mail server that requires STARTTLS is not tried")
		}
		p.command = []string{"sudo", "-n", path}
	}
	// Postfix's own user has to reach its queue.
	for dir := p.dir; dir != filepath.Dir(os.TempDir()) && dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		p.must(os.Chmod(dir, 0o755)) //nolint:gosec // a test's own folder
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	p.must(err)
	p.addr = l.Addr().String()
	p.must(l.Close())
	p.configure()
	p.run("start")
	t.Cleanup(func() { p.run("stop") })
	p.await("it answers", func() bool {
		c, err := net.Dial("tcp", p.addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return p
}

func (p *postfix) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *postfix) file(name, content string) string {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	p.must(os.WriteFile(path, []byte(content), 0o600))
	return path
}

func (p *postfix) run(verb string) {
	p.t.Helper()
	args := append(p.command[1:len(p.command):len(p.command)], "-c", p.dir, verb)
	if out, err := exec.Command(p.command[0], args...).CombinedOutput(); err != nil {
		p.t.Errorf("postfix %s: %v\n%s\n%s", verb, err, out, p.log())
	}
}

func (p *postfix) log() string {
	raw, _ := os.ReadFile(filepath.Join(p.dir, "log"))
	return string(raw)
}

// await waits for an event of the server's, as long as anything may take.
func (p *postfix) await(what string, ok func() bool) {
	p.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			p.t.Fatalf("waited in vain: %s\n%s", what, p.log())
		}
	}
}

func (p *postfix) configure() {
	p.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p.must(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail.test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	p.must(err)
	cert, err := x509.ParseCertificate(der)
	p.must(err)
	p.roots = x509.NewCertPool()
	p.roots.AddCert(cert)
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	p.must(err)
	var chain bytes.Buffer
	p.must(pem.Encode(&chain, &pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
	p.must(pem.Encode(&chain, &pem.Block{Type: "CERTIFICATE", Bytes: der}))
	pair := p.file("pair.pem", chain.String())
	p.must(os.Mkdir(filepath.Join(p.dir, "spool"), 0o755)) //nolint:gosec // as Postfix wants it
	_, port, _ := net.SplitHostPort(p.addr)
	p.file("main.cf", strings.Join([]string{
		"compatibility_level = 3.6",
		"queue_directory = " + filepath.Join(p.dir, "spool"), "data_directory = " + filepath.Join(p.dir, "data"),
		"command_directory = /usr/sbin", "daemon_directory = /usr/lib/postfix/sbin", "mail_owner = postfix", "setgid_group = postdrop",
		"maillog_file = " + filepath.Join(p.dir, "log"), "maillog_file_prefixes = " + p.dir,
		"myhostname = mail.test", "mydestination =", "mynetworks = 127.0.0.0/8", "inet_interfaces = 127.0.0.1", "inet_protocols = ipv4",
		"alias_maps =", "default_transport = discard", "smtpd_recipient_restrictions = permit_mynetworks, reject",
		"smtpd_tls_security_level = encrypt", "smtpd_tls_chain_files = " + pair, "smtpd_tls_loglevel = 1",
	}, "\n")+"\n")
	p.file("master.cf", "127.0.0.1:"+port+" inet n - n - - smtpd\n"+`cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
error unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`)
}

// TestVendors8PostfixThatRequiresSTARTTLS: a relay on this machine that takes
// nothing in the clear.
func TestVendors8PostfixThatRequiresSTARTTLS(t *testing.T) {
	t.Parallel()
	p := newPostfix(t)
	for name, roots := range map[string]*x509.CertPool{"its certificate is vouched for": p.roots, "nothing vouches for its certificate": nil} {
		s, err := smtp.New(smtp.Params{URL: secret.New("smtp://" + p.addr), RootCAs: roots})
		p.must(err)
		n := map[bool]int{true: 71, false: 72}[roots != nil]
		m := outgoing(n)
		m.Email.Subject = "Connect your Slack account to a company with quite a long name, and to another: " + strings.Repeat("größer ", 8)
		receipt, err := s.Send(t.Context(), m)
		if err != nil {
			t.Fatalf("%s: %v (%v)\n%s", name, err, refused(t, err).Err, p.log())
		}
		if want := fmt.Sprintf("<att_%d@brand.example>", n); receipt.ProviderMessageID != want {
			t.Errorf("%s: receipt %+v", name, receipt)
		}
		p.await(name, func() bool {
			log := p.log()
			return strings.Contains(log, "message-id="+receipt.ProviderMessageID) && strings.Contains(log, fmt.Sprintf("to=<pat%d@customer.example>", n)) &&
				strings.Contains(log, "status=sent")
		})
	}
	if !strings.Contains(p.log(), "TLS connection established") {
		t.Errorf("nothing was encrypted:\n%s", p.log())
	}
	// Authorities that do not vouch for it are believed, here too.
	s, err := smtp.New(smtp.Params{URL: secret.New("smtp://" + p.addr), RootCAs: x509.NewCertPool()})
	p.must(err)
	_, err = s.Send(t.Context(), outgoing(73))
	var f *wire.Fault
	if se := refused(t, err); se.Outcome != provider.NotSent || !errors.As(se.Err, &f) || f.Kind != wire.KindTLS {
		t.Errorf("%v (%v)", se, se.Err)
	}
}
