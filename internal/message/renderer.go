package message

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"sync"
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

// NewRenderer parses all templates of fsys and renders every message once. Any
// fault in any language is an error, so that a bad template stops the start of
// a process and not a delivery. It keeps the sources; a language is compiled when
// its first message is rendered, because most never are. Languages whose files
// are those of one of others are shared with it.
func NewRenderer(fsys fs.FS, others ...*Renderer) (*Renderer, error) {
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
		if r.byTag[tag], err = r.open(fsys, l, others); err != nil {
			return nil, err
		}
	}
	r.version, err = hashFiles(fsys)
	return r, err
}

// open reads one language and tries its messages, unless it is known from others.
func (r *Renderer) open(fsys fs.FS, l *Language, others []*Renderer) (*edition, error) {
	sources, err := readSources(fsys, l)
	if err != nil {
		return nil, fmt.Errorf("message templates of %s: %w", l.Tag, err)
	}
	for _, o := range others {
		if e := o.byTag[l.Tag]; e != nil && maps.Equal(e.sources, sources) {
			return e, nil
		}
	}
	e := &edition{sources: sources}
	e.compiled = sync.OnceValues(func() (*compiled, error) { return compileSources(l, sources) })
	c, err := compileSources(l, sources)
	if err != nil {
		return nil, fmt.Errorf("message templates of %s: %w", l.Tag, err)
	}
	return e, c.rehearse(l)
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
	return e.email(v, c)
}

func (e *compiled) email(v Vars, c content) (_ Email, err error) {
	b := e.buffer()
	defer e.buffers.Put(b)
	if c.Subject, err = firstWithin(b, e.subjects[kindOf(v)], &c, maxSubject); err != nil {
		return Email{}, err
	}
	mail := Email{Subject: c.Subject}
	b.Reset()
	if err := e.html.Execute(b, &c); err != nil {
		return Email{}, fmt.Errorf("render the HTML part: %w", err)
	}
	mail.HTML = secret.New(b.String())
	b.Reset()
	if err := e.text.Execute(b, &c); err != nil {
		return Email{}, fmt.Errorf("render the text part: %w", err)
	}
	mail.Text = secret.New(wrapText(b.Bytes()))
	return mail, nil
}

// SampleSubject returns the subject of a message that staff send to themselves, which says
// in the message's language that it is a test.
func (r *Renderer) SampleSubject(locale, subject string) string {
	return mustRender(r.langs.Match(locale).word("sample-subject", subject))
}

// SMS renders the body and counts its segments. The caller sets To.
func (r *Renderer) SMS(v Vars) (SMS, error) {
	e, c, err := r.prepare(v)
	if err != nil {
		return SMS{}, err
	}
	return e.textMessage(v, c)
}

func (e *compiled) textMessage(v Vars, c content) (SMS, error) {
	if e.gsm {
		for _, s := range []*string{&c.Brand, &c.App, &c.AppShort, &c.Inviter, &c.Duration} {
			*s = toGSM(*s)
		}
	}
	b := e.buffer()
	defer e.buffers.Put(b)
	best := SMS{}
	for _, t := range e.sms[kindOf(v)] {
		body, err := executeTemplate(b, t, &c)
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

func (r *Renderer) prepare(v Vars) (*compiled, content, error) {
	l := r.langs.Match(v.Locale)
	e, err := r.byTag[l.Tag].compiled()
	if err != nil {
		return nil, content{}, err
	}
	c, err := newContent(v, l)
	return e, c, err
}

func kindOf(v Vars) Kind {
	switch v.Kind {
	case Resend, Reminder, Passcode:
		return v.Kind
	case First:
	}
	if v.IsReconnect {
		return reconnect
	}
	return First
}

// firstWithin gives the first wording of at most limit characters, the last one
// cut to size when even that is too long.
func firstWithin(b *bytes.Buffer, ts []*template.Template, c *content, limit int) (string, error) {
	last := ""
	for _, t := range ts {
		s, err := executeTemplate(b, t, c)
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

// executeTemplate renders a wording by way of a buffer, whose content it replaces.
func executeTemplate(b *bytes.Buffer, t *template.Template, c *content) (string, error) {
	b.Reset()
	if err := t.Execute(b, c); err != nil {
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
