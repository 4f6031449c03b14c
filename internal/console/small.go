package console

import (
	"encoding/base64"
	"net/netip"
	"strconv"
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

// seconds is a Retry-After, rounded up.
func seconds(d time.Duration) string { return strconv.Itoa(int((d + time.Second - 1) / time.Second)) }

func encoded(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func decoded(s string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(s) }
