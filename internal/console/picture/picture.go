// Package picture draws the console's pictures as SVG, without a script or a style of
// their own: classes name the kinds, and the console's style sheet gives them colours.
//
// A picture has one sentence for those who do not see it. The page has the numbers in a
// table beside it.
package picture

import (
	"fmt"
	"html/template"
	"strings"
)

// Kinds of parts, as the style sheet colours them.
const (
	Good   = "good"
	Warn   = "warn"
	Bad    = "bad"
	Calm   = "calm"
	Accent = "accent"
	None   = "none"
)

// Part is a part of a bar.
type Part struct {
	N    int
	Kind string
}

// canvas is a picture that fills the width of its place.
func canvas(class, title string, width, height int, body *strings.Builder) template.HTML {
	label := ` aria-hidden="true"`
	if title != "" {
		label = ` role="img"`
		title = "<title>" + template.HTMLEscapeString(title) + "</title>"
	}
	return template.HTML(fmt.Sprintf(`<svg class="pic %s" viewBox="0 0 %d %d" preserveAspectRatio="none" focusable="false"%s>%s%s</svg>`, //nolint:gosec // title is escaped, the rest are numbers and our own words
		class, width, height, label, title, body))
}

func rect(b *strings.Builder, kind string, x, y, width, height float64) {
	fmt.Fprintf(b, `<rect class="p-%s" x="%.2f" y="%.2f" width="%.2f" height="%.2f"/>`, kind, x, y, width, height)
}

// Columns draws values side by side, the last one with a kind of its own.
func Columns(class, title string, values []int, kind, last string) template.HTML {
	const height, wide, gap = 40, 10, 2
	highest := 1
	for _, v := range values {
		highest = max(highest, v)
	}
	var b strings.Builder
	for i, v := range values {
		of := kind
		if i == len(values)-1 {
			of = last
		}
		h := float64(v) / float64(highest) * height
		if v > 0 {
			h = max(h, 2)
		} else {
			h, of = 1, None
		}
		rect(&b, of, float64(i*wide)+gap/2, height-h, wide-gap, h)
	}
	return canvas(class, title, max(len(values), 1)*wide, height, &b)
}

// Bar draws parts of a whole one after the other, from where a line of text begins.
func Bar(title string, parts []Part, whole int) template.HTML {
	const width, height = 1000, 12
	var b strings.Builder
	rect(&b, None, 0, 0, width, height)
	x := 0.0
	for _, p := range parts {
		if p.N <= 0 || whole <= 0 {
			continue
		}
		w := min(max(float64(p.N)/float64(whole)*width, 4), width-x)
		rect(&b, p.Kind, x, 0, w, height)
		x += w
	}
	return canvas("p-bar", title, width, height, &b)
}

// Strip draws a kind for each stretch of time, the oldest first. A worse state is higher,
// so that it needs no colours.
func Strip(title string, kinds []string) template.HTML {
	const height, wide, gap = 24, 6, 1
	var b strings.Builder
	for i, k := range kinds {
		h := map[string]float64{Good: 9, Warn: 16, Bad: height}[k]
		if h == 0 {
			h = 2
		}
		rect(&b, k, float64(i*wide), height-h, wide-gap, h)
	}
	return canvas("p-strip", title, max(len(kinds), 1)*wide, height, &b)
}
