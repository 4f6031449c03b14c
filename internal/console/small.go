package console

import (
	"encoding/base64"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/web"
)

// guesser is the key by which tries are counted. A network hands a whole /64 to
// one household, or to one attacker.
func guesser(c echo.Context) string {
	ip := web.ClientIP(c)
	if ip.Is6() {
		if p, err := ip.Prefix(64); err == nil {
			ip = p.Addr()
		}
	}
	if ip == (netip.Addr{}) {
		return "nowhere"
	}
	return ip.String()
}

// storable is text as the database can compare it: what is no UTF-8, and NUL,
// are in nothing that it holds.
func storable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// seconds is a Retry-After, rounded up.
func seconds(d time.Duration) string { return strconv.Itoa(int((d + time.Second - 1) / time.Second)) }

func encoded(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func decoded(s string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(s) }
