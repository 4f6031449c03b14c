package web

import (
	"net/http"
	"net/netip"
	"testing"
)

// FuzzClientIP reads any X-Forwarded-For: the client is an address or unknown, and never
// a trusted proxy's name for itself that stands behind an untrusted hop.
func FuzzClientIP(f *testing.F) {
	f.Add("203.0.113.7, 10.0.0.1", "10.0.0.1:4711")
	f.Add(`"[2001:db8::1]:443", unknown`, "[::1]:1")
	f.Add("::ffff:10.0.0.1%eth0,,", "10.0.0.9:65536")
	extract := clientIP([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	f.Fuzz(func(t *testing.T, forwarded, peer string) {
		got := extract(&http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": {forwarded}}})
		if got == "" {
			return
		}
		if _, err := netip.ParseAddr(got); err != nil {
			t.Errorf("%q by %q: the client is %q", forwarded, peer, got)
		}
		if at, ok := parseHop(peer); !ok || !netip.MustParsePrefix("10.0.0.0/8").Contains(at) && got != at.String() {
			t.Errorf("%q by %q: the client is %q, although the peer is not trusted", forwarded, peer, got)
		}
	})
}
