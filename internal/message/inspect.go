package message

import (
	"fmt"
	"strings"
)

// Warning is something about a message that works and could be better.
type Warning struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// The warnings' codes.
const (
	WarnLimit        = "limit_exceeded" // of the sending limits, which this package does not know
	WarnPaused       = "sending_paused" // of pauses, which this package does not know
	WarnSegments     = "sms_over_one_segment"
	WarnLegalLine    = "legal_line_missing"
	WarnPrivacy      = "privacy_url_missing"
	WarnContrast     = "colour_contrast"
	WarnAppShortened = "app_name_shortened"
	WarnInviterLeft  = "inviter_left_out"
	WarnText         = "text_stripped"
)

// Inspection is what an invite's messages look like in one language.
type Inspection struct {
	Language string
	Dir      string // "ltr" or "rtl"
	Email    Email
	SMS      SMS
	Encoding Encoding
	Units    int // septets or UTF-16 units
	Warnings []Warning
}

// Languages lists the languages that have messages of their own; regions that
// only tell the time differently are not among them.
func (r *Renderer) Languages() []string {
	var out []string
	for _, tag := range r.langs.Tags() {
		if l := r.langs.Match(tag); l.Owns("email") {
			out = append(out, tag)
		}
	}
	return out
}

// Dir returns the direction of a language's writing, "ltr" or "rtl".
func (r *Renderer) Dir(locale string) string { return r.langs.Match(locale).Dir }

// Match gives the tag of the language that messages in a locale are written in.
func (r *Renderer) Match(locale string) string { return r.langs.Match(locale).Tag }

// Inspect renders both messages and looks them over. Errors are as Email's and
// SMS's. It sends nothing, so From and To stay empty.
func (r *Renderer) Inspect(v Vars) (Inspection, error) {
	l := r.langs.Match(v.Locale)
	out := Inspection{Language: l.Tag, Dir: l.Dir}
	e, c, err := r.prepare(v)
	if err != nil {
		return Inspection{}, err
	}
	if out.Email, err = r.Email(v); err != nil {
		return Inspection{}, err
	}
	if out.SMS, err = r.SMS(v); err != nil {
		return Inspection{}, err
	}
	body := out.SMS.Body.Reveal()
	out.Encoding, out.Units, _ = Segments(body)
	warn := func(code, format string, args ...any) {
		out.Warnings = append(out.Warnings, Warning{Code: code, Detail: fmt.Sprintf(format, args...)})
	}
	if out.SMS.Segments > 1 {
		warn(WarnSegments, "the text message takes %d segments: %d units in %s", out.SMS.Segments, out.Units, out.Encoding)
	}
	written := func(name string) string {
		if e.gsm {
			return toGSM(name)
		}
		return name
	}
	var short []string
	if !strings.Contains(out.Email.Subject, c.App) {
		short = append(short, "the subject")
	}
	if !strings.Contains(body, written(c.App)) {
		short = append(short, "the text message")
	}
	if len(short) > 0 {
		warn(WarnAppShortened, "%s had no room for the app's whole name", strings.Join(short, " and "))
	}
	if c.Inviter != "" && !c.ByUser && !c.Resend && !strings.Contains(body, written(c.Inviter)) {
		warn(WarnInviterLeft, "the text message had no room for who asks")
	}
	if c.LegalLine == "" {
		warn(WarnLegalLine, "the project has no legal_line, so nothing says who is behind the message")
	}
	if c.PrivacyURL == "" {
		warn(WarnPrivacy, "the project has no privacy_url")
	}
	if v.Colour != "" {
		if p := NewPalette(v.Colour); !strings.EqualFold(p.Accent, v.Colour) {
			warn(WarnContrast, "white text on %s is hard to read; buttons are %s instead", cleanLine(v.Colour, 20), p.Accent)
		} else if p.OnAccent != white {
			warn(WarnContrast, "white text on %s cannot be read; buttons carry dark text instead", cleanLine(v.Colour, 20))
		}
	}
	return out, nil
}
