package page

import (
	"fmt"
	"html/template"
	"net/url"
	"regexp"
	"strings"

	qr "github.com/piglig/go-qr"
)

// QR is a QR code as an SVG path over a square of Size modules, the quiet zone
// included. As markup it needs neither a request nor an exception in the
// policy, and it stays sharp.
type QR struct {
	Size int
	Path string
}

// quietZone is the light margin that readers need, in modules (ISO/IEC 18004).
const quietZone = 4

// NewQR makes the code of an address; empty when it cannot be made.
func NewQR(address string) QR {
	if address == "" {
		return QR{}
	}
	code, err := qr.EncodeText(address, qr.Medium)
	if err != nil {
		return QR{} // too long: then the address in writing must do
	}
	var b strings.Builder
	for y := range code.Size() {
		for x := 0; x < code.Size(); x++ {
			from := x
			for code.Module(x, y) { // light beyond the edge
				x++
			}
			if n := x - from; n > 0 {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", quietZone+from, quietZone+y, n, n)
			}
		}
	}
	return QR{Size: code.Size() + 2*quietZone, Path: b.String()}
}

var plainHost = regexp.MustCompile(`^[A-Za-z0-9.:\[\]-]+$`)

// webAddress passes an address that any browser opens, and nothing else.
func webAddress(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || !plainHost.MatchString(u.Host) || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return ""
	}
	return u.String()
}

// intentURL asks Android to open a page in the browser of the person's choice.
// Where that cannot be, the page comes back with its way through.
func intentURL(page string) template.URL {
	u, err := url.Parse(page)
	if err != nil || page == "" {
		return ""
	}
	return template.URL("intent://" + u.Host + u.EscapedPath() + "#Intent;scheme=" + u.Scheme + //nolint:gosec // what webAddress passed
		";action=android.intent.action.VIEW;category=android.intent.category.BROWSABLE;S.browser_fallback_url=" +
		url.QueryEscape(page+"?stay=1") + ";end")
}
