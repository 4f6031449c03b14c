package view

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/access"
)

// Base is what every page has. Pages.Base makes one.
type Base struct {
	Title   string
	Tab     string // title of the browser's tab where it is not Title
	Section string // the entry of the menu that is the current one
	Now     time.Time
	Here    string // path and query of this page, to come back to
	Query   string // what stands in the search box

	Me        string // the name of the signed-in member of staff; empty without a session
	Role      access.Role
	ProjectID string // empty on pages of no project
	Project   string // its brand's name
	Live      bool
	Places    []Place
	Held      []Held
	Flash     Flash

	Lang  string
	Prefs Prefs
	words *words
	all   []*words // of every language
}

func (b *Base) shell() *Base { return b }

// Place is a project and mode that a person may go to.
type Place struct {
	ProjectID, Project string
	Live, Current      bool
}

// URL is the place's home.
func (p Place) URL() string { return rootPath(p.ProjectID, p.Live) + "/home" }

// InviteURL is the page of one of the place's invites.
func (p Place) InviteURL(id string) string {
	return rootPath(p.ProjectID, p.Live) + "/invites/" + url.PathEscape(id)
}

// Held is a lane, country, range of numbers or key that is paused, for the banner. The
// texts are translated.
type Held struct {
	Text   string
	Live   bool
	Why    string
	Effect string // on messages
	Since  time.Time
}

// Flash is a message that a page shows once, after an action.
type Flash struct {
	Kind string // "good", "bad" or "note"
	Text string // translated
}

// Base makes the frame of a page in a language. title is translated already.
func (p *Pages) Base(lang string, prefs Prefs, now time.Time) *Base {
	b := &Base{Lang: lang, Prefs: prefs, Now: now, all: p.languages}
	for _, l := range p.languages {
		if l.tag.String() == lang {
			b.words = l
			return b
		}
	}
	b.words, b.Lang = p.languages[0], p.languages[0].tag.String()
	return b
}

// T is a text in the page's language. The text must be a literal, or marked by
// M where it stands as one.
func (b *Base) T(text string, args ...any) string { return b.words.text(text, args) }

// TN is a text about a number of things, which is its first argument.
func (b *Base) TN(one, many string, n int, args ...any) string {
	return b.words.number(one, many, n, args)
}

// M marks a text that is translated elsewhere, so that the catalogues must have it.
func M(text string) string { return text }

// Dir is the direction of the page's writing.
func (b *Base) Dir() string { return b.words.dir }

// May reports whether the person may do something here.
func (b *Base) May(a access.Act) bool { return b.Role.May(a) }

// Mode is the URL's word for where we are.
func (b *Base) Mode() string { return modeName(b.Live) }

func modeName(live bool) string {
	if live {
		return "live"
	}
	return "test"
}

func rootPath(project string, live bool) string {
	return "/console/" + url.PathEscape(project) + "/" + modeName(live)
}

// URL is an address within this project and mode: URL("invites", id).
func (b *Base) URL(parts ...string) string {
	var s strings.Builder
	s.WriteString(rootPath(b.ProjectID, b.Live))
	for _, p := range parts {
		s.WriteString("/" + url.PathEscape(p))
	}
	return s.String()
}

// Languages lists the languages there are, in their own words.
func (b *Base) Languages() []Choice {
	var out []Choice
	for _, l := range b.all {
		tag := l.tag.String()
		out = append(out, Choice{tag, l.ownName(), b.Lang == tag})
	}
	return out
}

// Choice is one option of a list.
type Choice struct {
	Value, Text string
	Chosen      bool
}

// Prefs is how a browser wants the console. The zero value is the default.
type Prefs struct {
	Theme     string // "", "light" or "dark"; empty follows the system
	Density   string // "" or "compact"
	Lang      string // "" follows the browser
	Shortcuts string // "" or "off"
}

// ParsePrefs reads what String wrote, and anything else as far as it makes sense.
func (p *Pages) ParsePrefs(s string) Prefs {
	v, err := url.ParseQuery(s)
	if err != nil {
		return Prefs{}
	}
	tags := make([]string, len(p.languages))
	for i, l := range p.languages {
		tags[i] = l.tag.String()
	}
	return Prefs{
		Theme: oneOf(v.Get("theme"), "light", "dark"), Density: oneOf(v.Get("density"), "compact"),
		Lang: oneOf(v.Get("lang"), tags...), Shortcuts: oneOf(v.Get("keys"), "off"),
	}
}

func oneOf(s string, words ...string) string {
	if slices.Contains(words, s) {
		return s
	}
	return ""
}

// String writes them for a cookie.
func (p Prefs) String() string {
	v := url.Values{}
	for name, value := range map[string]string{"theme": p.Theme, "density": p.Density, "lang": p.Lang, "keys": p.Shortcuts} {
		if value != "" {
			v.Set(name, value)
		}
	}
	return v.Encode()
}
