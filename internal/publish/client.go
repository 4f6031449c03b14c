package publish

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"

	"github.com/connectlink/connectlink/config"
)

// timeout bounds one delivery: a product has this long to say that it took an event.
const timeout = 15 * time.Second

// ErrPrivateAddress: the webhook's name leads into a private network.
var ErrPrivateAddress = errors.New("the address is not a public one")

// ErrNoAddress: the webhook's name has no address.
var ErrNoAddress = errors.New("the name has no address")

// newClient calls products. It follows no redirects, keeps no connection for
// long and looks at the address it is about to connect to: after DNS, so that
// a name that resolves to a private address is caught too.
func newClient(allowPrivate bool) *http.Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	if !allowPrivate {
		dialer.Control = publicAddrPort
	}
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    5 * time.Second,
			ResponseHeaderTimeout:  timeout,
			MaxResponseHeaderBytes: 64 << 10,
			IdleConnTimeout:        15 * time.Second,
			MaxIdleConnsPerHost:    2,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// guardian knows the ranges that lead nowhere public, by IANA's registries of special
// addresses. A product's endpoint may have any port.
var guardian = ssrf.New(ssrf.WithAnyPort())

func publicAddrPort(network, address string, _ syscall.RawConn) error {
	if err := guardian.Safe(network, address, nil); err != nil {
		return fmt.Errorf("%w: %w", ErrPrivateAddress, err)
	}
	return nil
}

func publicAddr(ip netip.Addr) error {
	network := "tcp6"
	if ip = ip.Unmap(); ip.Is4() {
		network = "tcp4"
	}
	return publicAddrPort(network, netip.AddrPortFrom(ip, 443).String(), nil)
}

// Unreachable returns why events to a URL would not be delivered: the rule of
// the dial, applied in advance. lookup resolves the name, as
// net.DefaultResolver.LookupNetIP does; nil judges addresses and names of this
// machine only. A name that cannot be resolved is ErrNoAddress.
func Unreachable(ctx context.Context, hook *config.Webhook, lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)) error {
	if hook == nil || hook.AllowPrivate {
		return nil
	}
	u, err := url.Parse(hook.URL)
	if err != nil {
		return errors.New("the URL cannot be read")
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if a, err := netip.ParseAddr(host); err == nil {
		return publicAddr(a)
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return ErrPrivateAddress
	}
	if lookup == nil {
		return nil
	}
	all, err := lookup(ctx, "ip", host)
	if err != nil || len(all) == 0 {
		return ErrNoAddress
	}
	for _, a := range all {
		if publicAddr(a) == nil {
			return nil // the dial goes on to it
		}
	}
	return ErrPrivateAddress
}

// unwrapURL drops the URL from an error of net/http: its query may be a secret.
func unwrapURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
