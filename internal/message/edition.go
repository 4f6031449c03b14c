package message

import (
	"bytes"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"strings"
	"sync"
	"text/template"

	"github.com/connectlink/connectlink/internal/markup"
)

// edition is one language's messages: their sources, and the templates compiled from them.
type edition struct {
	sources  map[string]source // by the name inside a language's folder
	compiled func() (*compiled, error)
}

// source is a file. The writing's direction is one without a name.
type source struct{ file, text string }

// compiled is one language's templates, each with the parts it calls in place.
type compiled struct {
	html     *htmltemplate.Template
	text     *template.Template
	subjects map[Kind][]*template.Template
	sms      map[Kind][]*template.Template
	// gsm says that the wordings themselves fit GSM-7. Where they do not, as in
	// Arabic, nothing is won by taking accents off names.
	gsm bool
	// buffers has those that messages were rendered in. A mail has some 10 KB, and a
	// buffer that grows to it allocates twice that.
	buffers sync.Pool
}

// buffer takes a buffer out of the pool.
func (e *compiled) buffer() *bytes.Buffer {
	if b, ok := e.buffers.Get().(*bytes.Buffer); ok {
		return b
	}
	return new(bytes.Buffer)
}

const (
	layoutHTML = layoutFolder + "/email.html"
	layoutText = layoutFolder + "/email.txt"
	bodyFile   = "email/body.txt"
	codeFile   = "email/passcode.txt"
	stopFile   = "sms/stop.txt"
)

// reconnect is the first message of an invite to connect an account again. A language
// without wordings of its own for it says what First says.
const reconnect Kind = "reconnect"

func kinds() []Kind { return []Kind{First, Resend, Reminder, Passcode} }

func subjectFile(k Kind) string { return "email/" + string(k) + ".subject.txt" }

func smsFile(k Kind) string { return "sms/" + string(k) + ".txt" }

func readSources(fsys fs.FS, l *Language) (map[string]source, error) {
	sources := map[string]source{"": {text: l.Dir}}
	for _, name := range []string{layoutHTML, layoutText} {
		src, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, err
		}
		sources[name] = source{name, string(src)}
	}
	names := []string{bodyFile, codeFile, stopFile}
	for _, k := range kinds() {
		names = append(names, subjectFile(k), smsFile(k))
	}
	for _, name := range names {
		file, src, err := l.ReadFile(name)
		if err != nil {
			return nil, err
		}
		sources[name] = source{file, string(src)}
	}
	for own, other := range map[string]string{subjectFile(reconnect): subjectFile(First), smsFile(reconnect): smsFile(First)} {
		file, src, err := l.ReadFile(own)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			sources[own] = sources[other] // added by a project before there were any
		case err != nil:
			return nil, err
		default:
			sources[own] = source{file, string(src)}
		}
	}
	return sources, nil
}

// compileSources parses a language's messages and joins their parts.
func compileSources(l *Language, sources map[string]source) (*compiled, error) {
	c := &compiled{subjects: map[Kind][]*template.Template{}, sms: map[Kind][]*template.Template{}, gsm: true}
	// One source, two meanings of "name" and "strong".
	rtl := l.Dir == "rtl"
	htmlFuncs := htmltemplate.FuncMap{"name": wrapBDI(rtl), "strong": markStrong}
	textFuncs := template.FuncMap{"name": isolateName(rtl), "strong": plainText}
	html, text := htmltemplate.New("").Funcs(htmlFuncs), template.New("").Funcs(textFuncs)
	// A layout defines what texts of a project's own may lack: theirs come later, and count.
	if _, err := html.New(sources[layoutHTML].file).Parse(sources[layoutHTML].text); err != nil {
		return nil, err
	}
	if _, err := text.New(sources[layoutText].file).Parse(sources[layoutText].text); err != nil {
		return nil, err
	}
	if err := parseBodies(sources, func(name, src string) error { _, err := html.New(name).Parse(src); return err }, func(name, as string) error {
		t := html.Lookup(name)
		if t == nil {
			return errNoDefinition
		}
		_, err := html.AddParseTree(as, t.Tree.Copy())
		return err
	}); err != nil {
		return nil, err
	}
	if err := parseBodies(sources, func(name, src string) error { _, err := text.New(name).Parse(src); return err }, keepText(text)); err != nil {
		return nil, err
	}
	var err error
	if c.html, err = markup.HTML(htmltemplate.New("email").Funcs(htmlFuncs), html, "email"); err != nil {
		return nil, err
	}
	if c.text, err = markup.Text(template.New("email").Funcs(textFuncs), text, "email"); err != nil {
		return nil, err
	}
	for _, k := range append(kinds(), reconnect) {
		if c.subjects[k], _, err = parseVariants(sources[subjectFile(k)], source{}); err != nil {
			return nil, err
		}
		if over, ok := sources[wordingSubjects+string(k)]; ok {
			first, _, err := parseVariants(over, source{})
			if err != nil {
				return nil, err
			}
			c.subjects[k] = append(first, c.subjects[k]...)
		}
		fits := false
		// How to stop stands at the end of every text message.
		if c.sms[k], fits, err = parseVariants(sources[smsFile(k)], sources[stopFile]); err != nil {
			return nil, err
		}
		c.gsm = c.gsm && fits
	}
	return c, nil
}

func markStrong(s string) htmltemplate.HTML {
	return htmltemplate.HTML("<strong>" + htmltemplate.HTMLEscapeString(s) + "</strong>") //nolint:gosec // escaped
}

func plainText(s string) string { return s }

// parseVariants parses a file of wordings, one a line, best first. A comment may
// run over several lines at the top. Every wording may use what shared defines.
// gsm reports that the wordings without shared fit GSM-7.
func parseVariants(src, shared source) (wordings []*template.Template, gsm bool, err error) {
	text, number := src.text, 0
	if comment, rest, ok := strings.Cut(text, "*/}}"); ok && strings.HasPrefix(text, "{{/*") {
		text, number = rest, strings.Count(comment, "\n")
	}
	gsm = true
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		set, err := template.New(shared.file).Parse(shared.text)
		if err != nil {
			return nil, false, err
		}
		name := fmt.Sprintf("%s, line %d", src.file, number)
		wording, err := set.New(name).Parse(line)
		if err != nil {
			return nil, false, err
		}
		gsm = gsm && fitsGSM(wording.Root.String())
		if wording, err = markup.Text(template.New(name), set, name); err != nil {
			return nil, false, err
		}
		wordings = append(wordings, wording)
	}
	if len(wordings) == 0 {
		return nil, false, fmt.Errorf("%s has no wording", src.file)
	}
	return wordings, gsm, nil
}
