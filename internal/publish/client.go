package publish

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode"

	"golang.org/x/net/idna"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/wire"
)

// timeout bounds one delivery: a product has this long to say that it took an event.
const timeout = 15 * time.Second

// ErrNoAddress: the webhook's name has no address.
var ErrNoAddress = errors.New("the name has no address")

// ErrNumericHost: the webhook's host ends in a number and is no IPv4 address of four
// decimal numbers. Some resolvers read 2130706433, 0x7f.1 or 0177.0.0.1 as one.
var ErrNumericHost = errors.New("the host is a number and no IPv4 address in its usual form")

// newClient calls products. It follows no redirects, keeps no connection for
// long and looks at the address it is about to connect to: after DNS, so that
// a name that resolves to a private address is caught too, also if it resolved to a
// public one when it was set. A nil resolver is that of the machine.
func newClient(allowPrivate bool, resolver *net.Resolver) *http.Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second, Resolver: resolver}
	if !allowPrivate {
		dialer.Control = wire.CheckPublic
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

func publicAddr(ip netip.Addr) error {
	network := "tcp6"
	if ip = ip.Unmap(); ip.Is4() {
		network = "tcp4"
	}
	return wire.CheckPublic(network, netip.AddrPortFrom(ip, 443).String(), nil)
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
	host, err := hostToDial(u)
	if err != nil {
		return err
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return publicAddr(a)
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return wire.ErrPrivateAddress
	}
	if endsInNumber(host) {
		return ErrNumericHost
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
	return wire.ErrPrivateAddress
}

// hostToDial returns the host that net/http calls: characters outside ASCII are mapped,
// which makes 127.0.0.1 of one in full-width digits.
func hostToDial(u *url.URL) (string, error) {
	host := u.Hostname()
	if strings.IndexFunc(host, func(r rune) bool { return r > unicode.MaxASCII }) >= 0 {
		mapped, err := idna.Lookup.ToASCII(host)
		if err != nil {
			return "", errors.New("the host name cannot be read")
		}
		host = mapped
	}
	return strings.ToLower(strings.TrimRight(host, ".")), nil
}

// endsInNumber reports whether the last label of a host is a number, which no name's
// is: the rule by which browsers take a host for an IPv4 address.
func endsInNumber(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}

// failureOf returns why no answer came, as those who manage the endpoint read it: an
// error of net/http without the URL, whose query may be a secret, and without the
// address of the resolver, which is of this service's network.
func failureOf(err error) string {
	var name *net.DNSError
	if errors.As(err, &name) {
		switch {
		case name.IsNotFound:
			return "look up " + name.Name + ": no such host"
		case name.IsTimeout:
			return "look up " + name.Name + ": timeout"
		}
		return "look up " + name.Name + ": failed"
	}
	if errors.Is(err, wire.ErrPrivateAddress) {
		return wire.ErrPrivateAddress.Error() // which one would tell of the network that the service is in
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return err.Error()
}

// causeOf names why no answer came, as a word of package wire.
func causeOf(err error) string {
	var f *wire.Fault
	switch {
	case errors.Is(err, wire.ErrPrivateAddress):
		return "private_address"
	case errors.As(wire.Strip(err), &f):
		return f.Cause()
	}
	return "other"
}
