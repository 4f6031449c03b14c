package message

import (
	"fmt"
	"math"
	"strconv"
)

// Palette is a brand colour with legible colours on and beside it.
type Palette struct {
	Accent   string // fills buttons on white: the brand colour, #rrggbb
	OnAccent string // text on Accent: white or near black, at least 4.5 to 1
	Link     string // text on white: the brand colour, or ink where that is too light

	AccentDark   string // fills buttons on near black
	OnAccentDark string
}

const (
	defaultAccent = "#2f54eb"
	ink           = "#14171c"
	paper         = "#f2f4f7"
	white         = "#ffffff"
	// What a fill needs against its ground so that a button looks like one.
	minFill = 1.3
	minText = 4.5
	// From here a colour is dark enough to be darkened for white text without
	// becoming another colour.
	minDarken = 3.0
	// The darkest ground of pages and mails in dark mode has this luminance.
	darkGround = 0.01
)

// NewPalette makes a palette of a colour written #rrggbb or #rgb. Anything else
// gives the default: a colour goes into a style sheet and must be nothing else.
//
// White text is what people expect on a coloured button. A colour nearly dark
// enough for it is darkened until it is; a light one gets ink instead. A colour
// that would vanish on its ground gives way to ink or paper there.
func NewPalette(colour string) Palette {
	r, g, b, ok := parseColour(colour)
	if !ok {
		r, g, b, _ = parseColour(defaultAccent)
	}
	if onWhite(r, g, b) >= minDarken {
		r0, g0, b0 := r, g, b
		for f := 255; onWhite(r, g, b) < minText; f-- {
			r, g, b = scaleColour(r0, f), scaleColour(g0, f), scaleColour(b0, f)
		}
	}
	brand := fmt.Sprintf("#%02x%02x%02x", r, g, b)
	p := Palette{Accent: brand, OnAccent: white, Link: brand, AccentDark: brand, OnAccentDark: white}
	if onWhite(r, g, b) < minText {
		p.OnAccent, p.OnAccentDark, p.Link = ink, ink, ink
	}
	if onWhite(r, g, b) < minFill {
		p.Accent, p.OnAccent = ink, white
	}
	if (relativeLuminance(r, g, b)+0.05)/(darkGround+0.05) < minFill {
		p.AccentDark, p.OnAccentDark = paper, ink
	}
	return p
}

// onWhite is the contrast of a colour with white, WCAG's ratio.
func onWhite(r, g, b uint8) float64 { return 1.05 / (relativeLuminance(r, g, b) + 0.05) }

func scaleColour(c uint8, f int) uint8 { return uint8(int(c) * f / 255) } //nolint:gosec // at most c

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

// relativeLuminance is WCAG's relative luminance.
func relativeLuminance(r, g, b uint8) float64 {
	return 0.2126*linearChannel(r) + 0.7152*linearChannel(g) + 0.0722*linearChannel(b)
}

// linearChannel undoes the sRGB transfer curve for one channel.
func linearChannel(c uint8) float64 {
	v := float64(c) / 255
	if v <= 0.04045 {
		return v / 12.92
	}
	return math.Pow((v+0.055)/1.055, 2.4)
}
