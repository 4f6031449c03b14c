package strictjson

import (
	"bytes"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// string reads a quoted string; p stands on the opening quote.
func (p *parser) string() (string, error) {
	p.at++
	start := p.at
	for p.at < len(p.in) {
		switch c := p.in[p.at]; {
		case c == '"':
			s := string(p.in[start:p.at])
			p.at++
			return s, nil
		case c == '\\':
			return p.escaped(start)
		case c < 0x20:
			return "", p.control(c)
		}
		p.at++
	}
	return "", p.fault("a string is not closed")
}

func (p *parser) control(c byte) error {
	if c == 0 {
		return p.fault("it holds a NUL character")
	}
	return p.fault("a control character in a string must be escaped")
}

// escaped goes on with a string from its first escape.
func (p *parser) escaped(start int) (string, error) {
	var b strings.Builder
	b.Write(p.in[start:p.at])
	for p.at < len(p.in) {
		c := p.in[p.at]
		switch {
		case c == '"':
			p.at++
			return b.String(), nil
		case c < 0x20:
			return "", p.control(c)
		case c != '\\':
			b.WriteByte(c)
			p.at++
			continue
		}
		p.at++
		r, err := p.escape()
		if err != nil {
			return "", err
		}
		b.WriteRune(r)
	}
	return "", p.fault("a string is not closed")
}

// escape reads what follows a backslash.
func (p *parser) escape() (rune, error) {
	c := p.next()
	p.at++
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		return p.codepoint()
	}
	p.at--
	return 0, p.fault("there is no such escape")
}

func (p *parser) codepoint() (rune, error) {
	r, err := p.hex()
	if err != nil {
		return 0, err
	}
	if r == 0 {
		return 0, p.fault("it holds a NUL character")
	}
	if !utf16.IsSurrogate(r) {
		return r, nil
	}
	if bytes.HasPrefix(p.in[p.at:], []byte(`\u`)) {
		p.at += 2
		low, err := p.hex()
		if err != nil {
			return 0, err
		}
		if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
			return both, nil
		}
	}
	return 0, p.fault("a surrogate stands without its other half")
}

func (p *parser) hex() (rune, error) {
	if len(p.in)-p.at < 4 {
		return 0, p.fault(`\u needs four hexadecimal digits`)
	}
	var r rune
	for range 4 {
		c := p.in[p.at]
		switch {
		case isDigit(c):
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, p.fault(`\u needs four hexadecimal digits`)
		}
		p.at++
	}
	return r, nil
}
