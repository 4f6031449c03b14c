package wire_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/connectlink/connectlink/internal/wire"
)

// TestVendors7CausesAreNamedAndNameNoHost: what an operator needs to know, and
// nothing that must not stand in a log.
func TestVendors7CausesAreNamedAndNameNoHost(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"certificate_expired":    &tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired, Detail: "secret.example"}},
		"certificate_wrong_host": &tls.CertificateVerificationError{Err: x509.HostnameError{Host: "secret.example", Certificate: new(x509.Certificate)}},
		"certificate_untrusted":  &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}},
		"dns_not_found":          &net.DNSError{Name: "secret.example", IsNotFound: true},
		"dns_timeout":            &net.DNSError{Name: "secret.example", IsTimeout: true},
		"dns_failed":             &net.DNSError{Name: "secret.example", Err: "server misbehaving"},
		"connection_refused":     &net.OpError{Op: "dial", Err: &os.SyscallError{Err: syscall.ECONNREFUSED}},
		"unreachable":            &net.OpError{Op: "dial", Err: &os.SyscallError{Err: syscall.EHOSTUNREACH}},
		"timeout":                context.DeadlineExceeded,
		"connection_reset":       syscall.ECONNRESET,
		"tls_not_spoken":         tls.RecordHeaderError{Msg: "secret.example"},
		"protocol":               errors.New("malformed secret.example"),
	} {
		stripped := wire.Strip(&url.Error{Op: "Post", URL: "https://secret.example/token", Err: fmt.Errorf("call: %w", err)})
		var f *wire.Fault
		if !errors.As(stripped, &f) || f.Cause() != want || f.Words() == "" {
			t.Errorf("%v: %q", err, f.Cause())
		}
		if strings.Contains(stripped.Error()+f.Words(), "secret") {
			t.Errorf("%s prints %q", want, stripped)
		}
	}
	if got := wire.UserAgent(); !strings.HasPrefix(got, "connectlink/") || strings.ContainsAny(got, "() ") {
		t.Errorf("user agent %q", got)
	}
}
