package sandbox

import (
	"bytes"
	"hash/fnv"
	"image"
	"image/color"
	"image/png"
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
	var out bytes.Buffer
	if err := png.Encode(&out, drawLogo(a.id)); err != nil {
		http.Error(w, "The picture could not be drawn.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "image/png")
	w.Header().Set("Cache-Control", "max-age=86400")
	_, _ = w.Write(out.Bytes())
}

// drawLogo draws a picture of our own for an app: four shapes in a colour, both chosen by
// its id. The real ones are their owners' marks.
func drawLogo(id string) image.Image {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	seed := h.Sum32()
	shades := []color.NRGBA{
		{0x1b, 0x6e, 0xf3, 0xff}, {0x0f, 0x9d, 0x75, 0xff}, {0xd9, 0x48, 0x41, 0xff}, {0x8a, 0x4b, 0xd8, 0xff}, {0xc7, 0x7d, 0x0a, 0xff}, {0x0c, 0x8a, 0xa8, 0xff},
	}
	main, other := shades[seed%6], shades[(seed/6+seed%6+1)%6]
	img := image.NewNRGBA(image.Rect(0, 0, logoSide, logoSide))
	const half, gap = logoSide / 2, 5
	for y := range logoSide {
		for x := range logoSide {
			quarter := uint(x/half + 2*(y/half)) //nolint:gosec // 0 to 3
			dx, dy := x%half-half/2, y%half-half/2
			inside := dx*dx+dy*dy < (half/2-gap)*(half/2-gap) // a disc
			if seed>>(8+quarter)&1 == 1 {
				inside = max(dx, -dx, dy, -dy) < half/2-gap // a square
			}
			if !inside {
				continue
			}
			if seed>>(16+quarter)&1 == 1 {
				img.SetNRGBA(x, y, other)
			} else {
				img.SetNRGBA(x, y, main)
			}
		}
	}
	return img
}
