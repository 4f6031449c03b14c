package view

import (
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// words is one language: its texts by their English ones. English has none.
type words struct {
	tag   language.Tag
	dir   string
	texts map[string][]string // one, or one for each plural form
}

// ownName is the language in its own words.
func (l *words) ownName() string {
	name := []rune(display.Self.Name(l.tag))
	return string(unicode.ToUpper(name[0])) + string(name[1:])
}

// pluralForms are the plural forms of each language in the order of its catalogue,
// which is gettext's.
func pluralForms(tag language.Tag) []plural.Form {
	if base, _ := tag.Base(); base.String() == "ar" {
		return []plural.Form{plural.Zero, plural.One, plural.Two, plural.Few, plural.Many, plural.Other}
	}
	return []plural.Form{plural.One, plural.Other}
}

// readLanguages reads English, and every folder of catalogues.
func readLanguages(fsys fs.FS) ([]*words, error) {
	out := []*words{{tag: language.English, dir: "ltr"}}
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, fmt.Errorf("list the console's languages: %w", err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		tag, err := language.Parse(e.Name())
		if err != nil {
			return nil, fmt.Errorf("console's folder %s: %w", e.Name(), err)
		}
		l := &words{tag: tag, dir: "ltr", texts: map[string][]string{}}
		if script, _ := tag.Script(); script.String() == "Arab" {
			l.dir = "rtl"
		}
		files, err := fs.Glob(fsys, e.Name()+"/*.po")
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			src, err := fs.ReadFile(fsys, file)
			if err != nil {
				return nil, fmt.Errorf("read catalogue: %w", err)
			}
			if err := l.read(string(src)); err != nil {
				return nil, fmt.Errorf("catalogue %s: %w", path.Join(folder, file), err)
			}
		}
		out = append(out, l)
	}
	return out, nil
}

// read adds a catalogue in gettext's format: msgid, msgid_plural, msgstr and
// msgstr[n], each a quoted string that may go on over several lines. What a
// catalogue says twice, and differently, is a fault.
func (l *words) read(src string) error {
	var id, many string
	var texts []string
	var at *string
	flush := func(line int) error {
		defer func() { id, many, texts, at = "", "", nil, nil }()
		want := 1
		if many != "" {
			want = len(pluralForms(l.tag))
		}
		switch {
		case id == "":
			return nil // the header
		case len(texts) != want || slices.Contains(texts, ""):
			return fmt.Errorf("before line %d: %q has %d texts, and needs %d", line, id, len(texts), want)
		case l.texts[id] != nil && !slices.Equal(l.texts[id], texts):
			return fmt.Errorf("before line %d: %q stands there twice, with different texts", line, id)
		}
		for _, t := range texts {
			if err := checkArguments(id, t, many != ""); err != nil {
				return fmt.Errorf("before line %d: %q: %w", line, id, err)
			}
		}
		l.texts[id] = texts
		return nil
	}
	lines := strings.Split(src, "\n")
	for n, line := range lines {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		switch {
		case word == "msgid":
			if err := flush(n + 1); err != nil {
				return err
			}
			at = &id
		case word == "msgid_plural":
			at = &many
		case word == "msgstr" || word == fmt.Sprintf("msgstr[%d]", len(texts)):
			texts = append(texts, "")
			at = &texts[len(texts)-1]
		case line[0] == '"' && at != nil:
			rest = line
		default:
			return fmt.Errorf("line %d is neither a message nor a part of one", n+1)
		}
		text, err := strconv.Unquote(strings.TrimSpace(rest))
		if err != nil {
			return fmt.Errorf("line %d: %w", n+1, err)
		}
		*at += text
	}
	return flush(len(lines) + 1)
}

// checkArguments reports whether a translation can take its text's arguments. Of a plural, a
// form for one certain number may leave the number out.
func checkArguments(id, text string, many bool) error {
	want, got := formatVerbs(id), formatVerbs(text)
	if slices.Equal(want, got) || many && len(want) > 0 && slices.Equal(want[1:], got) {
		return nil
	}
	return fmt.Errorf("takes %v, its translation %v", want, got)
}

// formatVerbs are the places for arguments in a text, in the order of the arguments.
func formatVerbs(text string) []string {
	var out []string
	for i := 0; i < len(text); i++ {
		if text[i] != '%' || i+1 == len(text) {
			continue
		}
		rest := text[i+1:]
		if rest[0] == '%' {
			i++
			continue
		}
		n := len(out) + 1
		if end := strings.IndexByte(rest, ']'); rest[0] == '[' && end > 0 {
			n, _ = strconv.Atoi(rest[1:end])
			rest = rest[end+1:]
		}
		if rest == "" {
			continue
		}
		for len(out) < n {
			out = append(out, "")
		}
		if n > 0 {
			out[n-1] = rest[:1]
		}
	}
	return out
}

func (l *words) text(text string, args []any) string {
	if t := l.texts[text]; len(t) == 1 {
		text = t[0]
	}
	if len(args) == 0 {
		return strings.ReplaceAll(text, "%%", "%")
	}
	return oneStop(fmt.Sprintf(text, l.grouped(args)...), args)
}

// count is an integer whose digits are grouped as its language does: "12,500".
type count string

// Format writes the grouped digits for every verb of integers.
func (c count) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, string(c)) }

// digits writes an integer with its thousands grouped.
func (l *words) digits(n int) string {
	text := strconv.Itoa(n)
	sign := ""
	if n < 0 {
		sign, text = "-", text[1:]
	}
	mark := ","
	switch base, _ := l.tag.Base(); base.String() {
	case "de", "es":
		mark = "."
	case "fr":
		mark = "\u00a0"
	}
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + mark + text[i:]
	}
	return sign + text
}

// grouped replaces the integers of args with counts.
func (l *words) grouped(args []any) []any {
	out := slices.Clone(args)
	for i, a := range out {
		if n, ok := a.(int); ok {
			out[i] = count(l.digits(n))
		}
	}
	return out
}

// oneStop leaves one full stop where an argument that ends with one ("2 Std.", a
// whole sentence) ends a sentence.
func oneStop(text string, args []any) string {
	for _, a := range args {
		if s, ok := a.(string); ok && strings.HasSuffix(s, ".") {
			text = strings.ReplaceAll(text, s+".", s)
		}
	}
	return text
}

func (l *words) number(one, many string, n int, args []any) string {
	form := plural.Cardinal.MatchPlural(l.tag, n%10_000_000, 0, 0, 0, 0)
	text := many
	if form == plural.One {
		text = one
	}
	if t := l.texts[one]; len(t) > 1 {
		text = t[max(slices.Index(pluralForms(l.tag), form), 0)]
	}
	// A form that names the number in words has no place for it.
	if len(formatVerbs(text)) == len(args)+1 {
		args = append([]any{n}, args...)
	}
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, l.grouped(args)...)
}

// markup is text with arguments of which some are markup: everything else is
// escaped.
func (l *words) markup(text string, args []any) any {
	if !slices.ContainsFunc(args, func(a any) bool { _, ok := a.(template.HTML); return ok }) {
		return l.text(text, args)
	}
	escaped := make([]any, len(args))
	for i, a := range args {
		switch a := a.(type) {
		case template.HTML:
			escaped[i] = string(a)
		case string:
			escaped[i] = template.HTMLEscapeString(a)
		case int, int64:
			escaped[i] = a
		default:
			escaped[i] = template.HTMLEscapeString(fmt.Sprint(a))
		}
	}
	if t := l.texts[text]; len(t) == 1 {
		text = t[0]
	}
	return template.HTML(fmt.Sprintf(template.HTMLEscapeString(text), l.grouped(escaped)...)) //nolint:gosec // every part is escaped or markup of ours
}

// Texts are the English texts that a language's catalogues have, for the test
// that compares them with the pages.
func (p *Pages) Texts(lang string) map[string]bool {
	out := map[string]bool{}
	for _, l := range p.languages {
		if l.tag.String() == lang {
			for text := range l.texts {
				out[text] = true
			}
		}
	}
	return out
}
