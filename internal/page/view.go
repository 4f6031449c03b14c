// Package page owns the pages that recipients see in a browser: the states of
// an invite link's page, the data each may show, the templates' execution and
// the content security policy of the rendered page.
//
// It must not decide which state an invite is in, read a request or write a
// header: package linkpage does. It never sees a connect link or a whole
// address, only the masked one.
//
// A page is one HTML document with its style and its small script inside: no
// cookie, no font, no request but the logos and, when the page was looked at
// for a second, one POST that says so. Without scripts everything works.
package page

import (
	"bytes"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"strings"

	"golang.org/x/text/language"

	"github.com/connectlink/connectlink/internal/message"
)

// State is which page is shown.
type State string

const (
	Ready           State = "ready"
	Busy            State = "busy" // no connect link can be had right now
	Connected       State = "connected"
	CouldNotConnect State = "could_not_connect"
	Expired         State = "expired"
	Replaced        State = "replaced"
	Revoked         State = "revoked"
	Unknown         State = "unknown"  // an unknown or deleted code
	TooMany         State = "too_many" // guessing is slowed down
	// Finishing is /done before the connection is confirmed; afterwards /done
	// shows Connected or CouldNotConnect.
	Finishing State = "finishing"
	InApp     State = "in_app" // Ready, seen in a browser inside another app
	Sent      State = "sent"   // a new link was asked for
	Verify    State = "verify" // asks for a passcode
	NotMe     State = "not_me" // the form of "this isn't for me"
	Thanks    State = "thanks" // and its answer
	Stop      State = "stop"   // asks whether text messages are to stop
	Stopped   State = "stopped"
	// Returned is what a browser shows where an app should have taken over.
	Returned State = "returned"
	// Start is the page of the host itself, without a link's code.
	Start State = "start"
	// Sample is the page of the link in a message that staff sent to themselves.
	Sample State = "sample"
)

// IsAnonymous reports whether a page says nothing of an invite, because there is
// none.
func (s State) IsAnonymous() bool {
	return s == Unknown || s == TooMany || s == Returned || s == Start || s == Sample
}

// States lists all of them.
func States() []State {
	return []State{Ready, Busy, Connected, CouldNotConnect, Expired, Replaced, Revoked, Unknown, TooMany, Finishing, InApp, Sent, Verify, NotMe, Thanks, Stop, Stopped, Returned, Start, Sample}
}

// Status is the HTTP status a state is served with.
func (s State) Status() int {
	switch s {
	case Busy:
		return http.StatusServiceUnavailable
	case Expired, Replaced, Revoked:
		return http.StatusGone
	case Unknown:
		return http.StatusNotFound
	case TooMany:
		return http.StatusTooManyRequests
	default:
		return http.StatusOK
	}
}

// Pages renders. It is safe for concurrent use.
type Pages struct {
	langs    *message.Languages
	tags     []language.Tag
	matcher  language.Matcher
	editions map[string]*edition // by language tag
	css      template.CSS
	script   template.JS
}

// New parses the pages of every language in fsys and renders each once, so that
// a fault in a template stops the start of a process. It keeps the sources; a
// page is compiled when it is first shown, because most pages of most languages
// never are. Languages whose files are those of one of others are shared with it.
func New(fsys fs.FS, others ...*Pages) (*Pages, error) {
	langs, err := message.NewLanguages(fsys)
	if err != nil {
		return nil, err
	}
	p := &Pages{langs: langs, editions: map[string]*edition{}}
	layout, err := fs.ReadFile(fsys, layoutFile)
	if err != nil {
		return nil, fmt.Errorf("read the pages' layout: %w", err)
	}
	css, err := fs.ReadFile(fsys, "layout/page.css")
	if err != nil {
		return nil, fmt.Errorf("read the pages' style: %w", err)
	}
	script, err := fs.ReadFile(fsys, "layout/page.js")
	if err != nil {
		return nil, fmt.Errorf("read the pages' script: %w", err)
	}
	p.css, p.script = template.CSS(css), template.JS(script) //nolint:gosec // our own files

	// English first: the matcher falls back to the first tag.
	p.tags = []language.Tag{language.English}
	for _, tag := range langs.Tags() {
		t, err := language.Parse(tag)
		if err != nil {
			return nil, fmt.Errorf("language folder %s: %w", tag, err)
		}
		if t != language.English {
			p.tags = append(p.tags, t)
		}
		l := langs.Match(tag)
		if parent := p.editions[l.Parent()]; parent != nil && !l.Owns("pages") {
			p.editions[tag] = parent
			continue
		}
		e, err := readEdition(l, langs.Match(""), string(layout))
		if err != nil {
			return nil, fmt.Errorf("pages of %s: %w", tag, err)
		}
		if same := findEqual(e, tag, others); same != nil {
			p.editions[tag] = same
			continue
		}
		p.editions[tag] = e
		if err := p.rehearse(tag); err != nil {
			return nil, err
		}
	}
	p.matcher = language.NewMatcher(p.tags)
	return p, nil
}

// Language gives the tag a page is shown in: the invite's locale when it has
// one, else what the browser's Accept-Language header prefers.
func (p *Pages) Language(locale, acceptLanguage string) string {
	wanted, _, err := language.ParseAcceptLanguage(acceptLanguage)
	if err != nil {
		wanted = nil // an unreadable header states no preference
	}
	if t, err := language.Parse(locale); err == nil && locale != "" {
		wanted = append([]language.Tag{t}, wanted...)
	}
	_, i, confidence := p.matcher.Match(wanted...)
	if confidence == language.No {
		return p.tags[0].String()
	}
	return p.tags[i].String()
}

// Chosen gives the tag of a language that a reader asked for by name, ""
// when there are no pages in it.
func (p *Pages) Chosen(tag string) string {
	l := p.langs.Match(tag)
	if tag == "" || !strings.EqualFold(l.Tag, tag) {
		return ""
	}
	return l.Tag
}

// Render writes one page. Nothing is written when it fails.
func (p *Pages) Render(w io.Writer, s State, lang string, d Data) error {
	l := p.langs.Match(lang)
	compiled := p.editions[l.Tag].compiled[s]
	if compiled == nil {
		return fmt.Errorf("no page for state %q", s)
	}
	t, err := compiled()
	if err != nil {
		return err
	}
	return p.execute(w, t, s, l, d)
}

func (p *Pages) execute(w io.Writer, t *template.Template, s State, l *message.Language, d Data) error {
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "page", p.shown(s, l, d)); err != nil {
		return fmt.Errorf("render page %s: %w", s, err)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// rehearse renders every page with everything set and with nothing set, and
// keeps none of the compiled templates.
func (p *Pages) rehearse(tag string) error {
	l := p.langs.Match(tag)
	for _, s := range States() {
		t, err := p.editions[tag].compile(s)
		if err != nil {
			return fmt.Errorf("pages of %s: %w", tag, err)
		}
		for _, d := range []Data{{}, fullData()} {
			if err := p.execute(io.Discard, t, s, l, d); err != nil {
				return fmt.Errorf("language %s: %w", tag, err)
			}
		}
	}
	return nil
}
