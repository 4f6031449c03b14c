package message

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/template"
	"time"

	"github.com/connectlink/connectlink/internal/secret"
)

// Situation is a message for which a project can have a wording of its own.
type Situation string

// The situations. A resend and a reminder of an invite to reconnect have none: they
// say what the templates say.
const (
	OnFirst     Situation = "first"     // the first message, of the product or a colleague
	OnRequest   Situation = "requested" // the first message, for which the recipient asked
	OnResend    Situation = "resend"
	OnReminder  Situation = "reminder"
	OnReconnect Situation = "reconnect" // the first message of an invite to reconnect
)

// Situations lists the situations.
func Situations() []Situation {
	return []Situation{OnFirst, OnRequest, OnResend, OnReminder, OnReconnect}
}

// condition is when a situation's wording is used, as a template expression. Only one of
// them holds for a message.
func (s Situation) condition() string {
	switch s {
	case OnFirst:
		return "and (not .Reconnect) (not .Resend) (not .Reminder) (not .ByUser)"
	case OnRequest:
		return "and (not .Reconnect) (not .Resend) (not .Reminder) .ByUser"
	case OnResend:
		return "and (not .Reconnect) .Resend"
	case OnReminder:
		return "and (not .Reconnect) .Reminder"
	case OnReconnect:
		return "and .Reconnect (not .Resend) (not .Reminder)"
	}
	return ""
}

// kind is the kind whose subjects a situation's stands before.
func (s Situation) kind() Kind {
	switch s {
	case OnResend:
		return Resend
	case OnReminder:
		return Reminder
	case OnReconnect:
		return reconnect
	case OnFirst, OnRequest:
	}
	return First
}

// Wording is the texts of an email that a project can replace: plain text with
// variables, {App}. An empty one is that of the templates.
type Wording struct{ Subject, Lead, Button string }

// Slot is the place of a wording.
type Slot struct {
	Language  string // a tag of Renderer.Languages
	Situation Situation
}

// Part is a text of a wording.
type Part string

// The parts.
const (
	PartSubject Part = "subject"
	PartLead    Part = "lead"
	PartButton  Part = "button"
)

// Parts lists the parts.
func Parts() []Part { return []Part{PartSubject, PartLead, PartButton} }

// Of returns a part's text.
func (w Wording) Of(p Part) string {
	switch p {
	case PartSubject:
		return w.Subject
	case PartLead:
		return w.Lead
	case PartButton:
		return w.Button
	}
	return ""
}

// Max is the longest text of a part, in characters, with each variable as one.
func (p Part) Max() int {
	switch p {
	case PartSubject:
		return maxSubject
	case PartLead:
		return 240
	case PartButton:
		return 30
	}
	return 0
}

// Variables lists the names that a part may use. A subject and a button carry no name
// that a person typed.
func (p Part) Variables() []string {
	names := []string{"App", "AppShort", "Brand"}
	if p == PartLead {
		names = append(names, "Inviter", "Duration")
	}
	return names
}

// wordingSource returns a text as template source. Its words are string constants, which
// templates escape as any value, so no text is markup or syntax. names is the function
// that sets names apart; empty in subjects.
func wordingSource(text, names string) string {
	text = cleanWording(text) // a row may have been checked by another version
	var b strings.Builder
	at := 0
	constant := func(s string) {
		if s != "" {
			b.WriteString("{{" + strconv.Quote(s) + "}}")
		}
	}
	for _, m := range variable.FindAllStringSubmatchIndex(text, -1) {
		name := text[m[2]:m[3]]
		if !slices.Contains(PartLead.Variables(), name) {
			continue
		}
		constant(text[at:m[0]])
		if name == "Duration" || names == "" {
			b.WriteString("{{." + name + "}}")
		} else {
			b.WriteString("{{" + names + " ." + name + "}}")
		}
		at = m[1]
	}
	constant(text[at:])
	return b.String()
}

// applies is the condition under which a text is used: in its situation, and where the
// inviter it names is known.
func (s Situation) applies(text string) string {
	if strings.Contains(text, "{Inviter}") {
		return "and (" + s.condition() + ") .Inviter"
	}
	return s.condition()
}

// Names of the sources of wordings, and what the templates' own definitions are called
// beside them.
const (
	wordingBody     = "wording/body"
	wordingSubjects = "wording/subject/"
	templatesOwn    = "templates-own-"
)

// wordingDefinitions names the definition of the mail's body that a part replaces.
func wordingDefinitions() map[Part]string {
	return map[Part]string{PartLead: "ask", PartButton: "button"}
}

// addWordings adds the sources of wordings to those of a language.
func addWordings(sources map[string]source, wordings map[Situation]Wording) map[string]source {
	sources = maps.Clone(sources)
	var body strings.Builder
	for _, part := range []Part{PartLead, PartButton} {
		definition := wordingDefinitions()[part]
		fmt.Fprintf(&body, "{{define %q}}", definition)
		ends := ""
		for _, s := range Situations() {
			if text := wordings[s].Of(part); text != "" {
				fmt.Fprintf(&body, "{{if %s}}%s{{else}}", s.applies(text), wordingSource(text, "name"))
				ends += "{{end}}"
			}
		}
		fmt.Fprintf(&body, "{{template %q .}}%s{{end}}\n", templatesOwn+definition, ends)
	}
	sources[wordingBody] = source{wordingBody, body.String()}
	for _, s := range Situations() {
		if text := wordings[s].Subject; text != "" {
			name := wordingSubjects + string(s.kind())
			sources[name] = source{name, sources[name].text + fmt.Sprintf("{{if %s}}%s{{end}}\n", s.applies(text), wordingSource(text, ""))}
		}
	}
	return sources
}

// With returns a renderer with the wordings over its own texts. Its version differs where
// a wording does. Languages without a wording are shared. A wording that cannot be
// rendered, and one of a language that there is not, is an error.
func (r *Renderer) With(wordings map[Slot]Wording) (*Renderer, error) {
	of := map[string]map[Situation]Wording{}
	h := sha256.New()
	h.Write([]byte(r.version + "\n"))
	for _, slot := range slices.SortedFunc(maps.Keys(wordings), func(a, b Slot) int {
		return cmp.Or(cmp.Compare(a.Language, b.Language), cmp.Compare(a.Situation, b.Situation))
	}) {
		w := wordings[slot]
		if w == (Wording{}) {
			continue
		}
		if !slices.Contains(r.Languages(), slot.Language) || !slices.Contains(Situations(), slot.Situation) {
			return nil, fmt.Errorf("there is no message %q in %q", slot.Situation, slot.Language)
		}
		if of[slot.Language] == nil {
			of[slot.Language] = map[Situation]Wording{}
		}
		of[slot.Language][slot.Situation] = w
		h.Write(fmt.Appendf(nil, "%q %q %q\n", slot, w.Subject, []string{w.Lead, w.Button}))
	}
	if len(of) == 0 {
		return r, nil
	}
	out := &Renderer{langs: r.langs, byTag: maps.Clone(r.byTag), version: hex.EncodeToString(h.Sum(nil))[:12]}
	for tag, own := range of {
		l, under := r.langs.Match(tag), r.byTag[tag]
		e := &edition{sources: addWordings(under.sources, own)}
		e.compiled = sync.OnceValues(func() (*compiled, error) { return compileSources(l, e.sources) })
		c, err := e.compiled()
		if err != nil {
			return nil, fmt.Errorf("wordings of %s: %w", tag, err)
		}
		if err := c.rehearse(l); err != nil {
			return nil, fmt.Errorf("wordings of %s: %w", tag, err)
		}
		for other, shared := range r.byTag { // and its regions
			if shared == under {
				out.byTag[other] = e
			}
		}
	}
	return out, nil
}

// Wording returns the texts that a message of a slot has, with variables in the places of
// names.
func (r *Renderer) Wording(slot Slot) (Wording, error) {
	l := r.langs.Match(slot.Language)
	e := r.byTag[l.Tag]
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	v := Vars{
		Brand: "{Brand}", AppName: "{App}", AppShort: "{AppShort}", Inviter: "{Inviter}", Kind: slot.Situation.kind(),
		URL: secret.New("https://example.com/c/code"), ExpiresAt: now.Add(72 * time.Hour), Now: now, IsReconnect: slot.Situation == OnReconnect,
	}
	switch slot.Situation {
	case OnReconnect:
		v.Kind = First
	case OnRequest:
		v.Initiator, v.Inviter = ByUser, ""
	case OnFirst, OnResend, OnReminder:
	}
	c, err := newContent(v, l)
	if err != nil {
		return Wording{}, err
	}
	compiled, err := e.compiled()
	if err != nil {
		return Wording{}, err
	}
	b := compiled.buffer()
	defer compiled.buffers.Put(b)
	var w Wording
	if w.Subject, err = firstWithin(b, compiled.subjects[kindOf(v)], &c, maxSubject); err != nil {
		return Wording{}, err
	}
	set := template.New("").Funcs(template.FuncMap{"name": plainText, "strong": plainText})
	if err := parseBodies(e.sources, func(name, src string) error { _, err := set.New(name).Parse(src); return err }, keepText(set)); err != nil {
		return Wording{}, err
	}
	for part, definition := range wordingDefinitions() {
		text, err := executeTemplate(b, set.Lookup(definition), &c)
		if err != nil {
			return Wording{}, err
		}
		if text = strings.Join(strings.FieldsFunc(text, isBreakable), " "); part == PartLead {
			w.Lead = text
		} else {
			w.Button = text
		}
	}
	return w, nil
}

// parseBodies parses the mail's sentences, and over them the wordings if there are any;
// keep gives a definition another name first, by which theirs call it.
func parseBodies(sources map[string]source, parse func(name, src string) error, keep func(name, as string) error) error {
	for _, name := range []string{bodyFile, codeFile} {
		if err := parse(sources[name].file, sources[name].text); err != nil {
			return err
		}
	}
	over, ok := sources[wordingBody]
	if !ok {
		return nil
	}
	for _, definition := range wordingDefinitions() {
		if err := keep(definition, templatesOwn+definition); err != nil {
			return err
		}
	}
	return parse(over.file, over.text)
}

// keepText is parseBodies's keep for plain text.
func keepText(set *template.Template) func(name, as string) error {
	return func(name, as string) error {
		t := set.Lookup(name)
		if t == nil {
			return errNoDefinition
		}
		_, err := set.AddParseTree(as, t.Tree.Copy())
		return err
	}
}

var errNoDefinition = errors.New("the mail's texts lack a definition that wordings replace")
