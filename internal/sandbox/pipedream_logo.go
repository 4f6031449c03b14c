package sandbox

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"strings"
)

// logoSide is the side of the stand-in's pictures, in pixels.
const logoSide = 96

// LogoPrefix begins the addresses of the catalogue's pictures: those of Pipedream are
// https://assets.pipedream.net/s.v0/{app id}/logo/orig, these are below this prefix in
// the same form.
func (s *Sandbox) LogoPrefix() string { return s.public.String() + "/assets/" }

// logoAddress is an app's img_src.
func (s *Sandbox) logoAddress(a *app) string { return s.LogoPrefix() + "s.v0/" + a.id + "/logo/orig" }

// serveLogo serves the picture of an app, as assets.pipedream.net does, without
// credentials.
func (s *Sandbox) serveLogo(w http.ResponseWriter, r *http.Request) {
	id, ok := strings.CutPrefix(strings.TrimSuffix(r.URL.Path, "/logo/orig"), "/s.v0/")
	a := findApp(id)
	if !ok || a == nil || a.id != id {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "max-age=86400")
	mark := newMark(a.id)
	if mark.isSVG {
		w.Header().Set("Content-Type", "image/svg+xml")
		_, _ = io.WriteString(w, mark.svg())
		return
	}
	var out bytes.Buffer
	if err := png.Encode(&out, mark.draw()); err != nil {
		http.Error(w, "The picture could not be drawn.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "image/png")
	_, _ = w.Write(out.Bytes())
}

// mark is a picture of our own for an app: four shapes in two colours, chosen by its id.
// The real ones are their owners' marks.
type mark struct {
	isSVG  bool // as most of the real ones are
	shapes [4]shape
}

type shape struct {
	isSquare bool
	colour   color.NRGBA
}

const (
	half = logoSide / 2
	// reach is half the side of a square, and the radius of a disc.
	reach = half/2 - 5
)

func newMark(id string) mark {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	seed := h.Sum32()
	shades := []color.NRGBA{
		{0x1b, 0x6e, 0xf3, 0xff}, {0x0f, 0x9d, 0x75, 0xff}, {0xd9, 0x48, 0x41, 0xff}, {0x8a, 0x4b, 0xd8, 0xff}, {0xc7, 0x7d, 0x0a, 0xff}, {0x0c, 0x8a, 0xa8, 0xff},
	}
	main, other := shades[seed%6], shades[(seed/6+seed%6+1)%6]
	m := mark{isSVG: seed>>24&3 > 0}
	for quarter := range m.shapes {
		m.shapes[quarter] = shape{seed>>(8+quarter)&1 == 1, main}
		if seed>>(16+quarter)&1 == 1 {
			m.shapes[quarter].colour = other
		}
	}
	return m
}

func (m mark) draw() image.Image {
	img := image.NewNRGBA(image.Rect(0, 0, logoSide, logoSide))
	for y := range logoSide {
		for x := range logoSide {
			one := m.shapes[x/half+2*(y/half)]
			dx, dy := x%half-half/2, y%half-half/2
			inside := dx*dx+dy*dy < reach*reach
			if one.isSquare {
				inside = max(dx, -dx, dy, -dy) < reach
			}
			if inside {
				img.SetNRGBA(x, y, one.colour)
			}
		}
	}
	return img
}

func (m mark) svg() string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%[1]d" height="%[1]d" viewBox="0 0 %[1]d %[1]d">`, logoSide)
	for quarter, one := range m.shapes {
		x, y := quarter%2*half+half/2, quarter/2*half+half/2
		fill := fmt.Sprintf("#%02x%02x%02x", one.colour.R, one.colour.G, one.colour.B)
		if one.isSquare {
			fmt.Fprintf(&b, `<path fill="%s" d="M%d %dh%[4]dv%[4]dh-%[4]dz"/>`, fill, x-reach, y-reach, 2*reach)
		} else {
			fmt.Fprintf(&b, `<circle fill="%s" cx="%d" cy="%d" r="%d"/>`, fill, x, y, reach)
		}
	}
	b.WriteString("</svg>")
	return b.String()
}
