package message

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"strings"
	"text/template"
	"unicode/utf8"

	"github.com/connectlink/connectlink/internal/secret"
)

const (
	layoutFolder = "layout"
	maxSubject   = 60 // characters; phones show no more
)

// Renderer makes messages. It is safe for concurrent use.
type Renderer struct {
	langs   *Languages
	byTag   map[string]*edition
	version string
}

// edition is one language's messages, parsed.
type edition struct {
	html     *htmltemplate.Template
	text     *template.Template
	subjects map[Kind][]*template.Template
	sms      map[Kind][]*template.Template
	// gsm says that the wordings themselves fit GSM-7. Where they do not, as in
	// Arabic, nothing is won by taking accents off names.
	gsm bool
}

// NewRenderer parses all templates of fsys and renders every message once. Any
// fault in any language is an error, so that a bad template stops the start of
// a process and not a delivery.
func NewRenderer(fsys fs.FS) (*Renderer, error) {
	langs, err := NewLanguages(fsys)
	if err != nil {
		return nil, err
	}
	r := &Renderer{langs: langs, byTag: map[string]*edition{}}
	for _, tag := range langs.Tags() { // a language stands before its regions
		l := langs.Match(tag)
		if p := r.byTag[l.Parent()]; p != nil && !l.Owns("email") && !l.Owns("sms") {
			r.byTag[tag] = p
			continue
		}
		if r.byTag[tag], err = newEdition(fsys, l); err != nil {
			return nil, fmt.Errorf("message templates of %s: %w", tag, err)
		}
		if err := r.rehearse(tag); err != nil {
			return nil, err
		}
	}
	r.version, err = hashFiles(fsys)
	return r, err
}

// Version is a short hash over the files that messages are made of. It is
// stored with each attempt, to tell later what a recipient was shown.
func (r *Renderer) Version() string { return r.version }

// Email renders subject, text and HTML. The caller sets From, To and ReplyTo.
func (r *Renderer) Email(v Vars) (Email, error) {
	e, c, err := r.prepare(v)
	if err != nil {
		return Email{}, err
	}
	if c.Subject, err = firstWithin(e.subjects[kindOf(v)], c, maxSubject); err != nil {
		return Email{}, err
	}
	var html bytes.Buffer
	if err := e.html.ExecuteTemplate(&html, "email", c); err != nil {
		return Email{}, fmt.Errorf("render the HTML part: %w", err)
	}
	var text strings.Builder
	if err := e.text.ExecuteTemplate(&text, "email", c); err != nil {
		return Email{}, fmt.Errorf("render the text part: %w", err)
	}
	return Email{
		Subject: c.Subject,
		HTML:    secret.New(html.String()),
		Text:    secret.New(wrapText(text.String())),
	}, nil
}

// SMS renders the body and counts its segments. The caller sets To.
func (r *Renderer) SMS(v Vars) (SMS, error) {
	e, c, err := r.prepare(v)
	if err != nil {
		return SMS{}, err
	}
	if e.gsm {
		for _, s := range []*string{&c.Brand, &c.App, &c.AppShort, &c.Inviter, &c.Duration} {
			*s = toGSM(*s)
		}
	}
	best := SMS{}
	for _, t := range e.sms[kindOf(v)] {
		body, err := executeTemplate(t, c)
		if err != nil {
			return SMS{}, err
		}
		if body == "" {
			continue
		}
		// Fewer segments win; among equals the earlier, fuller wording stays.
		if _, _, n := Segments(body); best.Segments == 0 || n < best.Segments {
			best = SMS{Body: secret.New(body), Segments: n}
		}
		if best.Segments == 1 {
			break
		}
	}
	if best.Segments == 0 {
		return SMS{}, errors.New("no wording of the text message applies")
	}
	return best, nil
}

func (r *Renderer) prepare(v Vars) (*edition, content, error) {
	l := r.langs.Match(v.Locale)
	c, err := newContent(v, l)
	return r.byTag[l.Tag], c, err
}

func kindOf(v Vars) Kind {
	switch v.Kind {
	case Resend, Reminder, Passcode:
		return v.Kind
	case First:
	}
	return First
}

func newEdition(fsys fs.FS, l *Language) (*edition, error) {
	e := &edition{subjects: map[Kind][]*template.Template{}, sms: map[Kind][]*template.Template{}}
	parts := [][2]string{}
	for _, name := range []string{"body.txt", "passcode.txt"} {
		file, src, err := l.ReadFile("email/" + name)
		if err != nil {
			return nil, err
		}
		parts = append(parts, [2]string{file, string(src)})
	}
	layoutHTML, err := fs.ReadFile(fsys, layoutFolder+"/email.html")
	if err != nil {
		return nil, err
	}
	layoutText, err := fs.ReadFile(fsys, layoutFolder+"/email.txt")
	if err != nil {
		return nil, err
	}

	// One source, two meanings of "name" and "strong".
	rtl := l.Dir == "rtl"
	e.html = htmltemplate.New(l.Tag).Funcs(htmltemplate.FuncMap{"name": wrapBDI(rtl), "strong": markStrong})
	e.text = template.New(l.Tag).Funcs(template.FuncMap{"name": isolateName(rtl), "strong": plainText})
	for _, part := range append(parts, [2]string{layoutFolder + "/email.html", string(layoutHTML)}) {
		if _, err := e.html.New(part[0]).Parse(part[1]); err != nil {
			return nil, err
		}
	}
	for _, part := range append(parts, [2]string{layoutFolder + "/email.txt", string(layoutText)}) {
		if _, err := e.text.New(part[0]).Parse(part[1]); err != nil {
			return nil, err
		}
	}
	// How to stop stands at the end of every text message.
	stopFile, stopping, err := l.ReadFile("sms/stop.txt")
	if err != nil {
		return nil, err
	}
	stop, err := template.New(stopFile).Parse(string(stopping))
	if err != nil {
		return nil, err
	}
	e.gsm = true
	for _, k := range []Kind{First, Resend, Reminder, Passcode} {
		if e.subjects[k], err = parseVariants(l, "email/"+string(k)+".subject.txt", nil); err != nil {
			return nil, err
		}
		if e.sms[k], err = parseVariants(l, "sms/"+string(k)+".txt", stop); err != nil {
			return nil, err
		}
		for _, t := range e.sms[k] {
			e.gsm = e.gsm && fitsGSM(t.Root.String())
		}
	}
	return e, nil
}

func markStrong(s string) htmltemplate.HTML {
	return htmltemplate.HTML("<strong>" + htmltemplate.HTMLEscapeString(s) + "</strong>") //nolint:gosec // escaped
}

func plainText(s string) string { return s }

// parseVariants parses a file of wordings, one a line, best first. A comment may
// run over several lines at the top. Every wording may use what shared defines;
// nil shares nothing.
func parseVariants(l *Language, name string, shared *template.Template) ([]*template.Template, error) {
	file, src, err := l.ReadFile(name)
	if err != nil {
		return nil, err
	}
	text, number := string(src), 0
	if comment, rest, ok := strings.Cut(text, "*/}}"); ok && strings.HasPrefix(text, "{{/*") {
		text, number = rest, strings.Count(comment, "\n")
	}
	var out []*template.Template
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		t := template.New("")
		if shared != nil {
			var err error
			if t, err = shared.Clone(); err != nil {
				return nil, err
			}
		}
		t, err := t.New(fmt.Sprintf("%s, line %d", file, number)).Parse(line)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s has no wording", name)
	}
	return out, nil
}

// firstWithin gives the first wording of at most limit characters, the last one
// cut to size when even that is too long.
func firstWithin(ts []*template.Template, c content, limit int) (string, error) {
	last := ""
	for _, t := range ts {
		s, err := executeTemplate(t, c)
		if err != nil {
			return "", err
		}
		if s == "" {
			continue
		}
		if utf8.RuneCountInString(s) <= limit {
			return s, nil
		}
		last = s
	}
	return cleanLine(last, limit), nil
}

func executeTemplate(t *template.Template, c content) (string, error) {
	var b strings.Builder
	if err := t.Execute(&b, c); err != nil {
		return "", fmt.Errorf("render a wording: %w", err)
	}
	return b.String(), nil
}

// hashFiles hashes names and contents of the files messages are made of, and
// not those of pages.
func hashFiles(fsys fs.FS) (string, error) {
	h := sha256.New()
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		ofMessage := strings.HasPrefix(name, layoutFolder+"/email.") || strings.HasSuffix(name, "/words.txt") ||
			strings.Contains(name, "/email/") || strings.Contains(name, "/sms/")
		if !ofMessage {
			return nil
		}
		src, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%d:%s%d:", len(name), name, len(src))
		_, err = h.Write(src)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("hash the templates: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}
