package logo

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"net/http"
)

const (
	// maxSource is the most bytes of a picture that are read.
	maxSource = 512 << 10
	// maxImage is the most bytes of a picture that are kept.
	maxImage = 64 << 10
	// maxSide bounds the sides of a picture before it is decoded: a small file can
	// claim a picture of gigabytes.
	maxSide = 2048
	// shownSide is twice the size in which pages show it, for dense screens.
	shownSide = 112
)

// errNoPicture: the bytes are none of a picture that is shown.
var errNoPicture = errors.New("not a PNG, JPEG, GIF or SVG within bounds")

// Picture is a picture as it is served.
type Picture struct {
	Image []byte
	Type  string // typePNG or typeSVG
}

const (
	typePNG = "image/png"
	typeSVG = "image/svg+xml"
)

// extension is the end of the path of a picture.
func extension(mediaType string) string {
	if mediaType == typeSVG {
		return ".svg"
	}
	return ".png"
}

// draw makes a picture of its own from one of the catalogue.
func draw(raw []byte) (Picture, error) {
	if len(raw) > maxSource {
		return Picture{}, errNoPicture
	}
	if i := bytes.IndexByte(raw, '<'); i >= 0 && len(bytes.TrimSpace(bytes.TrimPrefix(raw[:i], []byte("\ufeff")))) == 0 {
		image, err := rewrite(bytes.TrimPrefix(raw, []byte("\ufeff")))
		return Picture{image, typeSVG}, err
	}
	image, err := redraw(raw)
	return Picture{image, typePNG}, err
}

// redraw decodes a picture and draws it again, no larger than shownSide, as a PNG.
func redraw(raw []byte) ([]byte, error) {
	var config func(io.Reader) (image.Config, error)
	var decode func(io.Reader) (image.Image, error)
	switch http.DetectContentType(raw) {
	case "image/png":
		config, decode = png.DecodeConfig, png.Decode
	case "image/jpeg":
		config, decode = jpeg.DecodeConfig, jpeg.Decode
	case "image/gif":
		config, decode = gif.DecodeConfig, gif.Decode // its first frame
	default:
		return nil, errNoPicture
	}
	c, err := config(bytes.NewReader(raw))
	if err != nil || c.Width < 1 || c.Height < 1 || c.Width > maxSide || c.Height > maxSide {
		return nil, errNoPicture
	}
	from, err := decode(bytes.NewReader(raw))
	if err != nil {
		return nil, errNoPicture
	}
	var out bytes.Buffer
	if err := png.Encode(&out, shrink(from)); err != nil {
		return nil, fmt.Errorf("encode a picture: %w", err)
	}
	return out.Bytes(), nil
}

// shrink scales a picture down until its longer side is shownSide; each pixel is the mean
// of those that it covers. A smaller picture keeps its size.
func shrink(from image.Image) image.Image {
	b := from.Bounds()
	w, h := b.Dx(), b.Dy()
	if longer := max(w, h); longer > shownSide {
		w, h = max(1, w*shownSide/longer), max(1, h*shownSide/longer)
	}
	to := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		y0, y1 := b.Min.Y+y*b.Dy()/h, b.Min.Y+max((y+1)*b.Dy()/h, y*b.Dy()/h+1)
		for x := range w {
			x0, x1 := b.Min.X+x*b.Dx()/w, b.Min.X+max((x+1)*b.Dx()/w, x*b.Dx()/w+1)
			to.Set(x, y, mean(from, image.Rect(x0, y0, x1, y1)))
		}
	}
	return to
}

func mean(from image.Image, part image.Rectangle) color.Color {
	var r, g, b, a, n uint64
	for y := part.Min.Y; y < part.Max.Y; y++ {
		for x := part.Min.X; x < part.Max.X; x++ {
			pr, pg, pb, pa := from.At(x, y).RGBA()
			r, g, b, a, n = r+uint64(pr), g+uint64(pg), b+uint64(pb), a+uint64(pa), n+1
		}
	}
	return color.RGBA64{R: uint16(r / n), G: uint16(g / n), B: uint16(b / n), A: uint16(a / n)} //nolint:gosec // means of uint16s
}
