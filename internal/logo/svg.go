package logo

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

const (
	svgSpace   = "http://www.w3.org/2000/svg"
	xlinkSpace = "http://www.w3.org/1999/xlink"
	// maxDepth is how deep elements may be nested.
	maxDepth = 64
	// maxDrawn is how many elements a browser may have to draw, where an element counts
	// again for each reference to it: ten lines can refer to each other a million times.
	maxDrawn = 5000
)

// errNoDrawing: an SVG that needs parts that are not allowed.
var errNoDrawing = errors.New("an SVG with parts that are not allowed")

// The elements that only draw. Others of SVG's namespace make a picture unusable, because
// it would look different without them; those of other namespaces are notes of drawing
// programs.
const drawn = " svg g defs symbol use title desc style path rect circle ellipse line polyline polygon " +
	"linearGradient radialGradient stop clipPath mask "

// The attributes that place and colour are kept. Of the others, the refused ones change the
// picture; the rest is left out.
const (
	kept = " id class style d x y x1 y1 x2 y2 cx cy r rx ry fx fy fr width height points viewBox preserveAspectRatio transform " +
		"fill fill-opacity fill-rule stroke stroke-width stroke-opacity stroke-linecap stroke-linejoin stroke-miterlimit opacity color display visibility " +
		"clip-path clip-rule clipPathUnits mask maskUnits maskContentUnits mask-type " +
		"offset stop-color stop-opacity gradientUnits gradientTransform spreadMethod "
	refused = " filter stroke-dasharray marker marker-start marker-mid marker-end "
)

// isIn reports whether a list has a name. XML names have no spaces.
func isIn(list, name string) bool { return strings.Contains(list, " "+name+" ") }

var (
	reference = regexp.MustCompile(`url\(\s*["']?([^"')]*)["']?\s*\)`)
	localName = regexp.MustCompile(`^#[\w.:-]{1,200}$`)
	partOnly  = regexp.MustCompile(`^\s*(none|url\([^()]*\))\s*$`)
	pathData  = regexp.MustCompile(`^[MmLlHhVvCcSsQqTtAaZz0-9eE+\-.,\s]*$`)
	// unusable is in rules that load, move or filter; noEffect is how drawing programs
	// write that there are none.
	unusable = regexp.MustCompile(`(?i)[@\\<]|/\*|image|expression|javascript|src\s*\(|filter|dasharray|marker|animation`)
	noEffect = regexp.MustCompile(`(?i)(filter|stroke-dasharray|marker[a-z-]*)\s*:\s*none`)
)

// hasUnusable reports whether style rules do more than place and colour.
func hasUnusable(rules string) bool {
	return unusable.MatchString(noEffect.ReplaceAllString(rules, ""))
}

// element is a kept element.
type element struct {
	name     string
	attrs    []xml.Attr
	children []*element
	text     string   // of style and title
	refers   []string // ids that it draws
	cost     int      // how many elements it draws; 0: not counted yet, -1: being counted
}

// rewrite writes an SVG again from its elements that only draw: no script, no text, no
// picture, no address but those of its own parts.
func rewrite(raw []byte) ([]byte, error) {
	root, err := readSVG(raw)
	if err != nil {
		return nil, err
	}
	ids := map[string]*element{}
	root.each(func(e *element) {
		for _, a := range e.attrs {
			if a.Name.Local == "id" && ids[a.Value] == nil { // the first counts, as in a browser
				ids[a.Value] = e
			}
		}
	})
	if n := root.count(ids); n < 0 || n > maxDrawn {
		return nil, errNoDrawing
	}
	var out bytes.Buffer
	root.write(&out, true)
	if out.Len() > maxImage {
		return nil, errNoDrawing
	}
	return out.Bytes(), nil
}

// readSVG reads the tree of kept elements.
func readSVG(raw []byte) (*element, error) {
	decoder := xml.NewDecoder(bytes.NewReader(raw))
	var root *element
	var open []*element
	for n := 0; ; n++ {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) && root != nil {
			return root, nil
		}
		if err != nil || n > 10*maxDrawn {
			return nil, errNoDrawing
		}
		switch t := token.(type) {
		case xml.StartElement:
			if t.Name.Space != svgSpace {
				if root == nil || decoder.Skip() != nil {
					return nil, errNoDrawing
				}
				continue
			}
			if t.Name.Local == "metadata" {
				if decoder.Skip() != nil {
					return nil, errNoDrawing
				}
				continue
			}
			e, err := newElement(t)
			if err != nil || (t.Name.Local == "svg") != (len(open) == 0) || root != nil && len(open) == 0 || len(open) == maxDepth {
				return nil, errNoDrawing
			}
			if root == nil {
				root = e
				if !e.hasSize() {
					return nil, errNoDrawing
				}
			} else {
				open[len(open)-1].children = append(open[len(open)-1].children, e)
			}
			open = append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				if err := open[len(open)-1].addText(string(t)); err != nil {
					return nil, err
				}
			}
		}
	}
}

func newElement(t xml.StartElement) (*element, error) {
	e := &element{name: t.Name.Local}
	if !isIn(drawn, e.name) {
		return nil, errNoDrawing
	}
	for _, a := range t.Attr {
		name := a.Name.Local
		switch {
		case name == "href" && (a.Name.Space == "" || a.Name.Space == xlinkSpace):
			if !localName.MatchString(a.Value) {
				return nil, errNoDrawing
			}
			e.refers = append(e.refers, a.Value[1:])
		case a.Name.Space != "":
			continue
		case isIn(refused, name) && a.Value != "none":
			return nil, errNoDrawing
		case !isIn(kept, name):
			continue
		case name == "d" && !pathData.MatchString(a.Value), name == "style" && hasUnusable(a.Value), strings.ContainsAny(a.Value, `\<`),
			(name == "mask" || name == "clip-path") && !partOnly.MatchString(a.Value):
			return nil, errNoDrawing
		default:
			refers, err := references(a.Value)
			if err != nil {
				return nil, err
			}
			e.refers = append(e.refers, refers...)
		}
		e.attrs = append(e.attrs, xml.Attr{Name: xml.Name{Local: name}, Value: a.Value})
	}
	return e, nil
}

// references are the ids that a value's url(#id) name; every other url is an error.
func references(value string) ([]string, error) {
	if !strings.Contains(strings.ToLower(value), "url") {
		return nil, nil
	}
	var ids []string
	for _, m := range reference.FindAllStringSubmatch(value, -1) {
		if !localName.MatchString(m[1]) {
			return nil, errNoDrawing
		}
		ids = append(ids, m[1][1:])
	}
	if strings.Contains(strings.ToLower(reference.ReplaceAllString(value, "")), "url") {
		return nil, errNoDrawing
	}
	return ids, nil
}

// addText keeps the rules of a style. Rules that refer to a part are refused: which
// elements they draw would take a reader of CSS.
func (e *element) addText(text string) error {
	if e.name != "style" {
		return nil
	}
	if hasUnusable(text) || strings.Contains(strings.ToLower(text), "url") {
		return errNoDrawing
	}
	e.text += text
	return nil
}

// hasSize reports whether the picture says how large it is. Without viewBox, its
// width and height become one.
func (e *element) hasSize() bool {
	size := map[string]string{}
	attrs := e.attrs[:0]
	for _, a := range e.attrs {
		switch a.Name.Local {
		case "width", "height":
			size[a.Name.Local] = strings.TrimSuffix(strings.TrimSpace(a.Value), "px")
			continue
		case "viewBox":
			size["viewBox"] = a.Value
		}
		attrs = append(attrs, a)
	}
	e.attrs = attrs
	if size["viewBox"] != "" {
		sides := strings.FieldsFunc(size["viewBox"], func(r rune) bool { return r == ' ' || r == ',' })
		return len(sides) == 4 && isSide(sides[2]) && isSide(sides[3])
	}
	if !isSide(size["width"]) || !isSide(size["height"]) {
		return false
	}
	e.attrs = append(e.attrs, xml.Attr{Name: xml.Name{Local: "viewBox"}, Value: fmt.Sprintf("0 0 %s %s", size["width"], size["height"])})
	return true
}

func isSide(s string) bool {
	v, err := strconv.ParseFloat(s, 64)
	return err == nil && v > 0 && v <= 1e6
}

func (e *element) each(do func(*element)) {
	do(e)
	for _, child := range e.children {
		child.each(do)
	}
}

// count returns how many elements are drawn for this one; -1 if it draws itself.
func (e *element) count(ids map[string]*element) int {
	if e.cost != 0 {
		return e.cost
	}
	e.cost = -1
	n := 1
	add := func(part *element) bool {
		c := part.count(ids)
		if c < 0 {
			return false
		}
		n = min(n+c, maxDrawn+1)
		return true
	}
	for _, child := range e.children {
		if !add(child) {
			return -1
		}
	}
	for _, id := range e.refers {
		if part := ids[id]; part != nil && !add(part) {
			return -1
		}
	}
	e.cost = n
	return n
}

func (e *element) write(out *bytes.Buffer, root bool) {
	out.WriteByte('<')
	out.WriteString(e.name)
	if root {
		out.WriteString(` xmlns="` + svgSpace + `"`)
	}
	for _, a := range e.attrs {
		out.WriteString(" " + a.Name.Local + `="`)
		_ = xml.EscapeText(out, []byte(a.Value)) // a Buffer takes all
		out.WriteByte('"')
	}
	if len(e.children) == 0 && e.text == "" {
		out.WriteString("/>")
		return
	}
	out.WriteByte('>')
	_ = xml.EscapeText(out, []byte(e.text))
	for _, child := range e.children {
		child.write(out, false)
	}
	out.WriteString("</" + e.name + ">")
}
