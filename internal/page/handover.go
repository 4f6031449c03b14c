package page

import (
	"fmt"
	"html/template"
	"net/url"
	"regexp"
	"strings"

	"github.com/skip2/go-qrcode"
)

// QR is a QR code as an SVG path over a square of Size modules, the quiet zone
// included. As markup it needs neither a request nor an exception in the
// policy, and it stays sharp.
type QR struct {
	Size int
	Path string
}

// NewQR makes the code of an address; empty when it cannot be made.
func NewQR(address string) QR {
	if address == "" {
		return QR{}
	}
	code, err := qrcode.New(address, qrcode.Medium)
	if err != nil {
		return QR{} // too long: then the address in writing must do
	}
	bits := code.Bitmap()
	var b strings.Builder
	for y, line := range bits {
		for x := 0; x < len(line); x++ {
			if !line[x] {
				continue
			}
			from := x
			for x < len(line) && line[x] {
				x++
			}
			fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", from, y, x-from, x-from)
		}
	}
	return QR{Size: len(bits), Path: b.String()}
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
