package web

import (
	"net"
	"net/netip"

	"github.com/labstack/echo/v4"
)

// clientIP believes X-Forwarded-For from the configured proxies and from
// nobody else. Echo's own default believes anyone, and its extractor trusts
// every private address unless told otherwise.
func clientIP(trusted []netip.Prefix) echo.IPExtractor {
	if len(trusted) == 0 {
		return echo.ExtractIPDirect()
	}
	options := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, p := range trusted {
		p = p.Masked()
		options = append(options, echo.TrustIPRange(&net.IPNet{
			IP:   net.IP(p.Addr().AsSlice()),
			Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
		}))
	}
	return echo.ExtractIPFromXFFHeader(options...)
}

// ClientIP is the address of whoever asks, for limits; the zero Addr when the
// connection has none (a Unix socket). It is personal: never log it.
func ClientIP(c echo.Context) netip.Addr {
	a, err := netip.ParseAddr(c.RealIP())
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}
