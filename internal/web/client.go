package web

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
)

// forwardingHeaders are those by which proxies tell that a request is not their own.
func forwardingHeaders() []string {
	return []string{"X-Forwarded-For", "Forwarded", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "X-Envoy-External-Address",
		"True-Client-Ip", "Cf-Connecting-Ip", "Fastly-Client-Ip", "Via"}
}

// IsForwarded reports whether a request names a proxy it came through.
func IsForwarded(r *http.Request) bool {
	return slices.ContainsFunc(forwardingHeaders(), func(name string) bool { return len(r.Header.Values(name)) > 0 })
}

// clientIP returns an extractor that believes X-Forwarded-For from the trusted
// networks only. It walks the header from its end, where the nearest proxy
// writes, to the first address that is not a trusted proxy's. An entry that
// cannot be read ends the walk without an address: falling back to the proxy's
// own would make every client look like a neighbour, and share one limit.
func clientIP(trusted []netip.Prefix) echo.IPExtractor {
	isTrusted := func(a netip.Addr) bool {
		return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	return func(r *http.Request) string {
		at := peerAddr(r)
		if !at.IsValid() {
			return ""
		}
		hops := strings.Split(strings.Join(r.Header.Values(echo.HeaderXForwardedFor), ","), ",")
		for i := len(hops) - 1; i >= 0 && isTrusted(at); i-- {
			entry := strings.TrimSpace(hops[i])
			if entry == "" {
				continue // an empty entry says nothing, as a missing header does
			}
			var ok bool
			if at, ok = parseHop(entry); !ok {
				return ""
			}
		}
		return at.String()
	}
}

// peerAddr returns the address at the other end of the connection; the zero Addr on
// a Unix socket.
func peerAddr(r *http.Request) netip.Addr {
	at, ok := parseHop(r.RemoteAddr)
	if !ok {
		return netip.Addr{}
	}
	return at
}

// parseHop reads an entry of X-Forwarded-For as proxies write them: an IPv4 or
// IPv6 address, the latter with or without brackets, either with or without a
// port, and in quotes where it was copied from Forwarded (RFC 7239). "unknown"
// and names are not addresses.
func parseHop(entry string) (netip.Addr, bool) {
	entry = strings.TrimSpace(strings.Trim(entry, `"`))
	at, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(entry, "["), "]"))
	if err != nil {
		host, _, splitErr := net.SplitHostPort(entry)
		if splitErr != nil {
			return netip.Addr{}, false
		}
		if at, err = netip.ParseAddr(host); err != nil {
			return netip.Addr{}, false
		}
	}
	return at.Unmap().WithZone(""), true
}

// ClientIP returns the client's address, for limits; the zero Addr where there is
// none (a Unix socket) or a trusted proxy told none. It is personal: never log it.
func ClientIP(c echo.Context) netip.Addr {
	a, err := netip.ParseAddr(c.RealIP())
	if err != nil {
		return netip.Addr{}
	}
	return a
}

// ClientKey returns the key by which attempts of a client are counted. A network
// hands a whole /64 to one household, or to one attacker. Clients without an
// address share a key of their own.
func ClientKey(c echo.Context) string {
	ip := ClientIP(c)
	if !ip.IsValid() {
		return "none"
	}
	if ip.Is6() {
		if p, err := ip.Prefix(64); err == nil {
			ip = p.Addr()
		}
	}
	return ip.String()
}

// warnEvery is how often a proxy that is not trusted is reported.
const warnEvery = time.Hour

// warnOfProxies logs, at most once an hour, that requests come through a proxy
// that trusted_proxies does not name: all its clients then share one rate limit.
func warnOfProxies(log *slog.Logger, trusted []netip.Prefix, now func() time.Time) echo.MiddlewareFunc {
	var last atomic.Int64
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			if len(r.Header.Values(echo.HeaderXForwardedFor)) > 0 {
				at := peerAddr(r)
				known := slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(at) })
				before, t := last.Load(), now()
				if !known && (before == 0 || t.Sub(time.Unix(0, before)) >= warnEvery) && last.CompareAndSwap(before, t.UnixNano()) {
					log.WarnContext(r.Context(), "requests come through a proxy that CONNECTLINK_TRUSTED_PROXIES does not name: its clients share one rate limit",
						"trusted_networks", len(trusted))
				}
			}
			return next(c)
		}
	}
}
