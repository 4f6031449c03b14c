// Package secret holds the one type for values that must never be printed:
// links, tokens, codes, keys, addresses.
//
// It owns redaction only. It does not encrypt: that is package seal.
package secret

import (
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what every rendering of a Text shows.
const Redacted = "[redacted]"

// Text is a string that redacts itself wherever Go prints values: fmt verbs,
// slog, JSON and text encoding. Reveal is the only way to the value, so a
// search for Reveal lists every place where a secret leaves its wrapping.
type Text struct{ v string }

// New wraps v.
func New(v string) Text { return Text{v: v} }

// Reveal returns the wrapped value.
func (t Text) Reveal() string { return t.v }

// IsZero reports whether nothing is wrapped.
func (t Text) IsZero() bool { return t.v == "" }

// String implements fmt.Stringer.
func (t Text) String() string { return t.shown() }

// GoString implements fmt.GoStringer (%#v).
func (t Text) GoString() string { return t.shown() }

// Format implements fmt.Formatter, so that no verb reaches the field by
// reflection (%d, %x and %q would).
func (t Text) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, t.shown()) }

// LogValue implements slog.LogValuer.
func (t Text) LogValue() slog.Value { return slog.StringValue(t.shown()) }

// MarshalText implements encoding.TextMarshaler; encoding/json uses it too.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.shown()), nil }

// UnmarshalText implements encoding.TextUnmarshaler, for configuration files.
func (t *Text) UnmarshalText(b []byte) error {
	t.v = string(b)
	return nil
}

// shown keeps "unset" tellable from "set" in a configuration dump.
func (t Text) shown() string {
	if t.v == "" {
		return ""
	}
	return Redacted
}

// Digest is the plain SHA-256 of a secret that cannot be guessed (a code, a
// token, an API key): it needs no key, so that it survives rotation. Never use
// it for addresses or names.
func Digest(t Text) []byte {
	sum := sha256.Sum256([]byte(t.Reveal()))
	return sum[:]
}
