package view

import (
	"fmt"
	"html/template"
	"time"

	"github.com/connectlink/connectlink/internal/access"
)

// Badge is a state with its sign: a word and a shape, never a colour alone.
type Badge struct {
	Kind string // good bad warn busy calm: the colour
	Icon string
	Text string // translated
}

// Tick is an absolute time with its relative words.
type Tick struct {
	At       time.Time
	Relative string
}

// funcs are what templates of a language can call.
func (p *Pages) funcs(l *words) template.FuncMap {
	return template.FuncMap{
		"t":    func(text string, args ...any) any { return l.markup(text, args) },
		"tn":   func(one, many string, n int, args ...any) string { return l.number(one, many, n, args) },
		"tv":   func(text string) string { return l.text(text, nil) }, // of a vocabulary, see Vocabulary
		"role": func(r access.Role) string { return l.text(RoleName(r), nil) },
		"ago":  func(now, at time.Time) template.HTML { return l.tick(now, at) },
		"clock": func(at time.Time) template.HTML {
			return template.HTML(at.UTC().Format(`<time datetime="2006-01-02T15:04:05Z"><bdi>15:04:05 UTC</bdi></time>`)) //nolint:gosec // digits
		},
		"bdi": func(text string) template.HTML {
			return template.HTML("<bdi>" + template.HTMLEscapeString(text) + "</bdi>") //nolint:gosec // escaped
		},
		"strong": func(text string) template.HTML {
			return template.HTML("<strong><bdi>" + template.HTMLEscapeString(text) + "</bdi></strong>") //nolint:gosec // escaped
		},
		"code": func(text string) template.HTML {
			return template.HTML("<code>" + template.HTMLEscapeString(text) + "</code>") //nolint:gosec // escaped
		},
		"num":   func(n int) string { return l.digits(n) },
		"icon":  renderIcon,
		"asset": func(name string) string { return p.assets[name].URL },
		"badge": func(kind, icon, text string) Badge { return Badge{kind, icon, text} },
		"may":   func(b Page, a string) bool { return b.shell().May(access.Act(a)) },
		"dict":  makeDict,
	}
}

// makeDict hands several values to a template.
func makeDict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("dict: a name without a value")
	}
	out := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: argument %d is no name", i)
		}
		out[name] = pairs[i+1]
	}
	return out, nil
}

// tick is a time as <time>: relative words, the absolute time on hover and
// focus. The script puts the absolute one into the reader's zone.
func (l *words) tick(now, at time.Time) template.HTML {
	if at.IsZero() {
		return template.HTML(template.HTMLEscapeString(l.text("never", nil))) //nolint:gosec // escaped
	}
	at = at.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s" tabindex="0">%s</time>`, //nolint:gosec // escaped
		at.Format(time.RFC3339), at.Format("2006-01-02 15:04:05")+" UTC", template.HTMLEscapeString(l.relative(at.Sub(now)))))
}

// relative returns a distance in time in words. Past times are rounded to the
// nearest hour or day. A future time within two days is exact to the minute and
// rounded down, because people rely on it.
func (l *words) relative(d time.Duration) string {
	const day = 24 * time.Hour
	minutes, hours, days := int(d.Abs()/time.Minute), int(d.Abs()/time.Hour), int(d.Abs().Round(day)/day)
	if d < 0 && d.Abs() >= time.Hour {
		hours = int(d.Abs().Round(time.Hour) / time.Hour)
	}
	rest := minutes - hours*60
	switch {
	case d.Abs() < time.Minute && d <= 0:
		return l.text("just now", nil)
	case d.Abs() < time.Minute:
		return l.text("in a moment", nil)
	case d < 0 && hours == 0:
		return l.number("%d minute ago", "%d minutes ago", minutes, nil)
	case d < 0 && hours < 48:
		return l.number("%d hour ago", "%d hours ago", hours, nil)
	case d < 0:
		return l.number("%d day ago", "%d days ago", days, nil)
	case hours == 0:
		return l.number("in %d minute", "in %d minutes", minutes, nil)
	case hours < 48 && rest > 0:
		return l.text("in %d h %d min", []any{hours, rest})
	case hours < 48:
		return l.number("in %d hour", "in %d hours", hours, nil)
	}
	return l.number("in %d day", "in %d days", days, nil)
}

// Relative is a time in words, for sentences.
func (b *Base) Relative(at time.Time) string { return b.words.relative(at.Sub(b.Now)) }

// Number is a count with its thousands grouped.
func (b *Base) Number(n int) string { return b.words.digits(n) }

// Span is a length of time in words: "3 h 48 min".
func (b *Base) Span(d time.Duration) string {
	hours, minutes := int(d/time.Hour), int(d%time.Hour/time.Minute)
	switch {
	case d < time.Minute:
		return b.TN("%d second", "%d seconds", int(d/time.Second))
	case hours >= 48:
		return b.TN("%d day", "%d days", hours/24)
	case hours == 0:
		return b.T("%d min", minutes)
	case minutes == 0:
		return b.T("%d h", hours)
	}
	return b.T("%d h %d min", hours, minutes)
}

// RoleName is a role in words.
func RoleName(r access.Role) string {
	switch r {
	case access.RoleViewer:
		return M("Viewer")
	case access.RoleAgent:
		return M("Agent")
	case access.RoleLead:
		return M("Lead")
	case access.RoleAdmin:
		return M("Admin")
	}
	return M("No role")
}
