package message

import (
	"fmt"
	"math"
	"strconv"
)

// Palette is a brand colour with what is legible on and beside it.
type Palette struct {
	Accent   string // the brand colour, #rrggbb
	OnAccent string // text on it: white or near black, at least 4.5 to 1
	Link     string // text in it on white; ink where the colour is too light
}

const (
	defaultAccent = "#2f54eb"
	ink           = "#14171c"
	white         = "#ffffff"
)

// NewPalette makes a palette of a colour written #rrggbb or #rgb. Anything else
// gives the default: a colour goes into a style sheet and must be nothing else.
func NewPalette(colour string) Palette {
	r, g, b, ok := parseColour(colour)
	if !ok {
		r, g, b, _ = parseColour(defaultAccent)
	}
	p := Palette{Accent: fmt.Sprintf("#%02x%02x%02x", r, g, b), OnAccent: white, Link: ink}
	l := luminance(r, g, b)
	onWhite := 1.05 / (l + 0.05)
	if onWhite >= 4.5 {
		p.Link = p.Accent
	} else {
		p.OnAccent = "#0b0d10"
	}
	return p
}

func parseColour(s string) (r, g, b uint8, ok bool) {
	if len(s) == 4 {
		s = string([]byte{s[0], s[1], s[1], s[2], s[2], s[3], s[3]})
	}
	if len(s) != 7 || s[0] != '#' {
		return 0, 0, 0, false
	}
	v, err := strconv.ParseUint(s[1:], 16, 24)
	if err != nil {
		return 0, 0, 0, false
	}
	return uint8(v >> 16), uint8(v >> 8), uint8(v), true //nolint:gosec // shifted into range
}

// luminance is WCAG's relative luminance.
func luminance(r, g, b uint8) float64 {
	return 0.2126*linear(r) + 0.7152*linear(g) + 0.0722*linear(b)
}

// linear undoes the sRGB transfer curve for one channel.
func linear(c uint8) float64 {
	v := float64(c) / 255
	if v <= 0.04045 {
		return v / 12.92
	}
	return math.Pow((v+0.055)/1.055, 2.4)
}
