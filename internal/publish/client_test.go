package publish

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/wire"
)

func TestOnlyPublicAddressesAreCalled(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"93.184.216.34:443": true, "[2606:2800:220:1::1]:443": true,
		"127.0.0.1:80": false, "10.1.2.3:80": false, "172.16.0.1:443": false, "192.168.1.1:443": false,
		"169.254.169.254:80": false, "100.64.1.1:443": false, "0.0.0.0:80": false, "224.0.0.1:80": false, "255.255.255.255:80": false,
		"[::1]:80": false, "[fe80::1]:80": false, "[fc00::1]:80": false, "[::ffff:127.0.0.1]:80": false, "[::ffff:10.0.0.1]:443": false,
		"127.255.255.254:443": false, "172.31.255.255:443": false, "169.254.170.2:80": false, "100.100.100.200:80": false, "192.0.0.192:80": false,
		"192.0.2.1:443": false, "198.18.0.1:443": false, "198.51.100.1:443": false, "203.0.113.1:443": false, "240.0.0.1:443": false,
		"[::]:443": false, "[::127.0.0.1]:443": false, "[::ffff:169.254.169.254]:80": false, "[::ffff:0:127.0.0.1]:443": false, "[fd00:ec2::254]:80": false,
		"[fe80::1%lo]:80": false, "[2606:2800:220:1::1%lo]:80": false, "[fec0::1]:443": false, "[ff02::1]:443": false, "[100::1]:443": false,
		"[2001:db8::1]:443": false, "[2001:0:7f00:1::]:443": false, "[2001:10::1]:443": false, "[2002:a9fe:a9fe::]:443": false, "[64:ff9b::a9fe:a9fe]:80": false,
		"[64:ff9b::7f00:1]:443": false, "[64:ff9b:1::a00:1]:443": false, "[3fff::1]:443": false, "[2001::1]:443": false, "192.88.99.1:443": false, "[2002:7f00:1::]:443": false, "not an address": false,
	} {
		network := "tcp4"
		if strings.HasPrefix(address, "[") {
			network = "tcp6"
		}
		if err := wire.CheckPublic(network, address, nil); (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// TestTheAddressIsCheckedAfterDNS: a name says nothing, what it resolves to does.
func TestTheAddressIsCheckedAfterDNS(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was called") }))
	defer s.Close()
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	resp, err := newClient(false, nil).Get("http://localhost:" + port)
	if err == nil {
		_ = resp.Body.Close()
	}
	if !errors.Is(err, wire.ErrPrivateAddress) {
		t.Errorf("err = %v", err)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	defer inner.Close()
	s := httptest.NewServer(http.RedirectHandler(inner.URL, http.StatusFound))
	defer s.Close()
	resp, err := newClient(true, nil).Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusFound {
		t.Errorf("status %d", resp.StatusCode)
	}
}

// TestAFailureNamesNeitherURLNorResolver: it is shown to those who manage endpoints.
func TestAFailureNamesNeitherURLNorResolver(t *testing.T) {
	t.Parallel()
	of := func(d net.DNSError) error {
		d.Name, d.Server = "acme.example", "10.0.0.53:53"
		return &url.Error{Op: "Post", URL: "https://acme.example/?k=secret", Err: &net.OpError{Op: "dial", Net: "tcp", Err: &d}}
	}
	for want, err := range map[string]error{
		"look up acme.example: no such host": of(net.DNSError{Err: "no such host", IsNotFound: true}),
		"look up acme.example: timeout":      of(net.DNSError{Err: "read udp 10.0.0.7:4711->10.0.0.53:53: i/o timeout", IsTimeout: true}),
		"look up acme.example: failed":       of(net.DNSError{Err: "read udp 10.0.0.7:4711->10.0.0.53:53: connection refused"}),
		"EOF":                                &url.Error{Op: "Post", URL: "https://acme.example/?k=secret", Err: io.EOF},
	} {
		if got := failureOf(err); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
