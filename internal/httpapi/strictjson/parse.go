package strictjson

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// MaxDepth is how deep values may be nested. The deepest request of the API
// needs four; the rest is room, and a guard of the stack.
const MaxDepth = 32

// MaxValues is how many values a body may have. The largest request of the API, a
// batch with all fields and all metadata, needs some 8,000; each value takes many
// times the memory of its text.
const MaxValues = 50_000

type kind uint8

const (
	null kind = iota
	boolean
	number
	text
	array
	object
)

// node is a parsed value.
type node struct {
	kind    kind
	text    string   // of a number as written, of a string decoded
	yes     bool     // of a boolean
	items   []node   // of an array
	members []member // of an object, as written: duplicates included
}

type member struct {
	name  string
	value node
}

// syntaxError is what ends parsing; its words are for the public.
type syntaxError struct{ message string }

func (e *syntaxError) Error() string { return e.message }

type parser struct {
	in     []byte
	at     int
	depth  int
	values int
}

// parseJSON reads one JSON text (RFC 8259). The only departures are refusals:
// nesting beyond MaxDepth, NUL and unpaired surrogates.
func parseJSON(in []byte) (node, error) {
	if bytes.HasPrefix(in, []byte("\xef\xbb\xbf")) {
		return node{}, &syntaxError{"The body begins with a byte order mark; send plain UTF-8."}
	}
	if !utf8.Valid(in) {
		return node{}, &syntaxError{"The body is not valid UTF-8."}
	}
	p := &parser{in: in}
	p.space()
	if p.at == len(in) {
		return node{}, &syntaxError{"The body is empty; a JSON object is expected."}
	}
	v, err := p.value()
	if err != nil {
		return node{}, err
	}
	p.space()
	if p.at < len(in) {
		return node{}, p.fault("there is more text after the end of the JSON value")
	}
	return v, nil
}

// fault names the place, in characters, where reading ended.
func (p *parser) fault(what string) error {
	before := p.in[:min(p.at, len(p.in))]
	line := 1 + bytes.Count(before, []byte{'\n'})
	column := 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	return &syntaxError{fmt.Sprintf("The body is not valid JSON: %s (line %d, column %d).", what, line, column)}
}

func (p *parser) space() {
	for p.at < len(p.in) {
		switch p.in[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

// next is the byte at hand; 0, which no valid text holds, at the end.
func (p *parser) next() byte {
	if p.at < len(p.in) {
		return p.in[p.at]
	}
	return 0
}

func (p *parser) value() (node, error) {
	if p.values++; p.values > MaxValues {
		return node{}, &syntaxError{fmt.Sprintf("The body has more than %d values.", MaxValues)}
	}
	switch c := p.next(); {
	case c == '{':
		return p.nested(p.object)
	case c == '[':
		return p.nested(p.array)
	case c == '"':
		s, err := p.string()
		return node{kind: text, text: s}, err
	case c == '-' || isDigit(c):
		return p.number()
	case c == 't':
		return node{kind: boolean, yes: true}, p.word("true")
	case c == 'f':
		return node{kind: boolean}, p.word("false")
	case c == 'n':
		return node{}, p.word("null")
	case p.at >= len(p.in):
		return node{}, p.fault("it ends too early")
	default:
		return node{}, p.fault("a value is expected")
	}
}

func (p *parser) nested(read func() (node, error)) (node, error) {
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > MaxDepth {
		return node{}, p.fault(fmt.Sprintf("values are nested more than %d deep", MaxDepth))
	}
	p.at++ // the opening bracket
	p.space()
	return read()
}

func (p *parser) object() (node, error) {
	n := node{kind: object}
	if p.next() == '}' {
		p.at++
		return n, nil
	}
	for {
		p.space()
		if p.next() != '"' {
			return n, p.fault("a member's name in double quotes is expected")
		}
		name, err := p.string()
		if err != nil {
			return n, err
		}
		p.space()
		if p.next() != ':' {
			return n, p.fault("a colon is expected after a member's name")
		}
		p.at++
		p.space()
		v, err := p.value()
		if err != nil {
			return n, err
		}
		n.members = append(n.members, member{name, v})
		p.space()
		switch p.next() {
		case ',':
			p.at++
		case '}':
			p.at++
			return n, nil
		default:
			return n, p.fault("a comma or } is expected")
		}
	}
}

func (p *parser) array() (node, error) {
	n := node{kind: array}
	if p.next() == ']' {
		p.at++
		return n, nil
	}
	for {
		p.space()
		v, err := p.value()
		if err != nil {
			return n, err
		}
		n.items = append(n.items, v)
		p.space()
		switch p.next() {
		case ',':
			p.at++
		case ']':
			p.at++
			return n, nil
		default:
			return n, p.fault("a comma or ] is expected")
		}
	}
}

func (p *parser) word(w string) error {
	if !bytes.HasPrefix(p.in[p.at:], []byte(w)) {
		return p.fault("a value is expected")
	}
	p.at += len(w)
	return nil
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (p *parser) number() (node, error) {
	start := p.at
	if p.next() == '-' {
		p.at++
	}
	switch {
	case p.next() == '0':
		p.at++
	case isDigit(p.next()):
		p.digits()
	default:
		return node{}, p.fault("a number needs a digit here")
	}
	if p.next() == '.' {
		p.at++
		if !p.digits() {
			return node{}, p.fault("a number needs a digit here")
		}
	}
	if p.next() == 'e' || p.next() == 'E' {
		p.at++
		if p.next() == '+' || p.next() == '-' {
			p.at++
		}
		if !p.digits() {
			return node{}, p.fault("a number needs a digit here")
		}
	}
	return node{kind: number, text: string(p.in[start:p.at])}, nil
}

func (p *parser) digits() bool {
	start := p.at
	for isDigit(p.next()) {
		p.at++
	}
	return p.at > start
}
