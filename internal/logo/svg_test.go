package logo

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

const open = `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 24 24">`

func TestAnSVGKeepsThePartsThatDraw(t *testing.T) {
	t.Parallel()
	const begin = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24">`
	for _, tt := range []struct{ name, in, want string }{
		{"a path with packed flags", open + `<path fill="#E01E5A" fill-rule="evenodd" d="M9.1.5a2 2 0 011.3 2.4L6 1e-3z"/></svg>`,
			begin + `<path fill="#E01E5A" fill-rule="evenodd" d="M9.1.5a2 2 0 011.3 2.4L6 1e-3z"/></svg>`},
		{"a clip as design tools write it", open + `<g clip-path="url(#clip0_1_2)"><circle cx="1" cy="2" r="3"/></g><defs><clipPath id="clip0_1_2"><rect width="24" height="24" fill="white"/></clipPath></defs></svg>`,
			begin + `<g clip-path="url(#clip0_1_2)"><circle cx="1" cy="2" r="3"/></g><defs><clipPath id="clip0_1_2"><rect width="24" height="24" fill="white"/></clipPath></defs></svg>`},
		{"gradients, one from the other", open + `<linearGradient id="a"><stop offset="0" stop-color="red"/></linearGradient><radialGradient id="b" xlink:href="#a"/><rect fill="url('#b')"/></svg>`,
			begin + `<linearGradient id="a"><stop offset="0" stop-color="red"/></linearGradient><radialGradient id="b" href="#a"/><rect fill="url(&#39;#b&#39;)"/></svg>`},
		{"style rules", open + `<style type="text/css"><![CDATA[.a{fill:#fff} g>.b{filter:none}]]></style><path class="a" style="fill:red;marker-start:none" d="M0 0"/></svg>`,
			begin + `<style>.a{fill:#fff} g&gt;.b{filter:none}</style><path class="a" style="fill:red;marker-start:none" d="M0 0"/></svg>`},
		{"notes of drawing programs", `<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd"><!-- made --><svg xmlns="http://www.w3.org/2000/svg" xmlns:i="http://www.inkscape.org/namespaces/inkscape" viewBox="0,0,24,24" i:version="1" data-name="x"><metadata><any/></metadata><i:page><script>1</script></i:page><title>A logo</title><g i:label="l"/></svg>`,
			`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0,0,24,24"><title/><g/></svg>`},
		{"width and height only", `<svg xmlns="http://www.w3.org/2000/svg" width="48px" height="24"><g/></svg>`, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 24"><g/></svg>`},
		{"a size beside viewBox", `<svg xmlns="http://www.w3.org/2000/svg" width="100%" height="1em" viewBox="0 0 24 24"/>`, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"/>`},
		{"a few parts of parts", open + doubled(1, `<use href="#a%d"/>`) + `</svg>`, begin + `<g id="a0"/><g id="a1"><use href="#a0"/><use href="#a0"/></g></svg>`},
		{"handlers of events", open + `<g onload="alert(1)" onclick='x()' tabindex="0"/></svg>`, begin + `<g/></svg>`},
	} {
		got, err := rewrite([]byte(tt.in))
		if err != nil || string(got) != tt.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", tt.name, err, got, tt.want)
		}
	}
}

func TestAnSVGThatNeedsMoreIsRefused(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"script":                   open + `<script>alert(1)</script></svg>`,
		"page":                     open + `<foreignObject><p xmlns="http://www.w3.org/1999/xhtml">x</p></foreignObject></svg>`,
		"text":                     open + `<text>x</text></svg>`,
		"picture":                  open + `<image href="https://x.example/a.png"/></svg>`,
		"link":                     open + `<a href="#x"><g/></a></svg>`,
		"animation":                open + `<rect><animate attributeName="x" to="5"/></rect></svg>`,
		"set":                      open + `<set attributeName="href" to="javascript:alert(1)"/></svg>`,
		"filter":                   open + `<g filter="url(#f)"/></svg>`,
		"pattern":                  open + `<pattern id="p"/></svg>`,
		"use of another file":      open + `<use href="https://x.example/a.svg#b"/></svg>`,
		"use of data":              open + `<use xlink:href="data:image/svg+xml,x"/></svg>`,
		"address in fill":          open + `<rect fill="url(https://x.example/a#b)"/></svg>`,
		"address after a local":    open + `<rect fill="url(#a) url(https://x.example/a#b)"/></svg>`,
		"address, escaped":         open + `<rect fill="\75rl(https://x.example)"/></svg>`,
		"address, open":            open + `<rect fill="url(https://x.example"/></svg>`,
		"address in mask":          open + `<rect mask="image-set('https://x.example/a' 1x)"/></svg>`,
		"import":                   open + `<style>@import "https://x.example/a.css";</style></svg>`,
		"address in style":         open + `<style>.a{fill:url(https://x.example)}</style></svg>`,
		"address in style element": open + `<rect style="background:URL(https://x.example)"/></svg>`,
		"element in rules":         open + `<style>.a{}&lt;/style>&lt;script></style></svg>`,
		"unknown entity":           `<!DOCTYPE svg [<!ENTITY a "x">]>` + open + `<title>&a;</title></svg>`,
		"svg in svg":               open + `<svg/></svg>`,
		"two roots":                open + `</svg>` + open + `</svg>`,
		"other root":               `<g xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>`,
		"no namespace":             `<svg viewBox="0 0 24 24"/>`,
		"no size":                  `<svg xmlns="http://www.w3.org/2000/svg"/>`,
		"no area":                  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 0 5"/>`,
		"size that is no number":   `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 NaN 5"/>`,
		"part of itself":           open + `<g id="a"><use href="#a"/></g></svg>`,
		"parts in a circle":        open + `<g id="a"><use href="#b"/></g><g id="b"><use href="#a"/></g></svg>`,
		"parts of parts":           open + doubled(20, `<use href="#a%d"/>`) + `</svg>`,
		"clips of clips":           open + doubled(20, `<g clip-path="url(#a%d)"/>`) + `</svg>`,
		"nested deeply":            open + strings.Repeat("<g>", 100) + strings.Repeat("</g>", 100) + `</svg>`,
		"too many":                 open + strings.Repeat("<g/>", 6000) + `</svg>`,
		"too long":                 open + `<path d="` + strings.Repeat("M0 0", 20_000) + `"/></svg>`,
		"cut":                      open + `<g`,
		"not closed":               open + `<g>`,
		"letters in a path":        open + `<path d="M0 0 javascript"/></svg>`,
	} {
		if got, err := rewrite([]byte(in)); !errors.Is(err, errNoDrawing) {
			t.Errorf("%s: %v, %.200s", name, err, got)
		}
	}
}

// doubled are parts that each draw the one before twice.
func doubled(n int, part string) string {
	var b strings.Builder
	b.WriteString(`<g id="a0"/>`)
	for i := range n {
		fmt.Fprintf(&b, `<g id="a%d">%s</g>`, i+1, strings.Repeat(fmt.Sprintf(part, i), 2))
	}
	return b.String()
}

// FuzzSVG: an accepted picture is XML of allowed parts only, and is accepted again unchanged.
func FuzzSVG(f *testing.F) {
	for _, seed := range []string{
		open + `<style>.a{fill:red}</style><g clip-path="url(#b)" class="a"><path d="M0 0h1"/></g><clipPath id="b"><rect/></clipPath></svg>`,
		open + `<use xlink:href="#a"/><script>1</script></svg>`, open + `<rect fill="url(#a) url(x)" style="a:url(b)"/></svg>`,
		`<svg xmlns="http://www.w3.org/2000/svg" width="1" height="2"><i:x xmlns:i="y"/></svg>`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := rewrite(raw)
		if err != nil {
			return
		}
		again, err := rewrite(got)
		if err != nil || !bytes.Equal(got, again) {
			t.Fatalf("written again: %v\n%q\n%q", err, got, again)
		}
		d := xml.NewDecoder(bytes.NewReader(got))
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatalf("%v: %q", err, got)
			}
			start, ok := token.(xml.StartElement)
			if !ok {
				continue
			}
			if !isIn(drawn, start.Name.Local) || start.Name.Space != svgSpace {
				t.Fatalf("element %v: %q", start.Name, got)
			}
			for _, a := range start.Attr {
				if n := a.Name.Local; a.Name.Space != "" || !isIn(kept, n) && n != "href" && n != "xmlns" || strings.HasPrefix(n, "on") {
					t.Fatalf("attribute %v: %q", a.Name, got)
				}
			}
		}
	})
}
