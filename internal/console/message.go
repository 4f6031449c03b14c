package console

import (
	"errors"
	"net/url"
	"strconv"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/compose"
	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/reword"
	"github.com/connectlink/connectlink/internal/testsend"
)

// messagePage edits one message.
type messagePage struct {
	*view.Base
	TextLang, TextDir string // the language of the texts, and its direction
	Back, Home        string
	When              string
	Version           int64
	Changed           bool // texts are stored
	Fields            []messageField
	Faults            []Fault
	Stale             bool // another change came first
	Preview           *preview
	Frame             string
	Fallback          bool // the subject did not fit
	History           []changeRow
	Older             string
	CopyToLive        bool
	Self              selfSend
}

type messageField struct {
	Name, Label, Value, Templates string
	Variables                     []string
	Max                           int
	Long                          bool
	Wrong                         []string
}

// versionsShown is how many versions a page of the history has.
const versionsShown = 10

func (s *console) message(p *page) error {
	d, m, err := s.messageData(p)
	if err != nil {
		return p.orNoMessage(err)
	}
	d.fill(p, m.Texts(), m.Templates, nil)
	return p.show("message", d)
}

func (s *console) messageData(p *page) (messagePage, reword.Message, error) {
	slot := p.slot()
	m, err := s.Reword.Get(p.ctx(), p.by, slot)
	if err != nil {
		return messagePage{}, m, err
	}
	name, when := p.messageName(slot.Situation)
	d := messagePage{Base: p.base(name, "messages"), TextLang: slot.Language, When: when, Version: m.Version, Changed: m.Own != message.Wording{}}
	d.TextDir = s.Composer.Messages(p.by.Place).Dir(slot.Language)
	d.Back, d.Home = withQuery(d.URL("messages"), "language", slot.Language), d.URL("messages", slot.Language, string(slot.Situation))
	d.CopyToLive = !p.by.Live && m.Version > 0
	if d.Self, err = s.selfSend(p); err != nil {
		return d, m, err
	}
	return d, m, s.fillHistory(p, &d, m)
}

// fillHistory adds the versions with their differences.
func (s *console) fillHistory(p *page, d *messagePage, m reword.Message) error {
	before, _ := strconv.ParseInt(p.QueryParam("before"), 10, 64)
	list, err := s.Reword.Versions(p.ctx(), p.by, m.Slot, max(before, 0), versionsShown+1)
	if err != nil {
		return err
	}
	names, err := s.names(p)
	if err != nil {
		return err
	}
	for i, v := range list {
		if i == versionsShown {
			d.Older = withQuery(d.Home, "before", strconv.FormatInt(list[i-1].Number, 10))
			break
		}
		var earlier message.Wording
		if i+1 < len(list) {
			earlier = list[i+1].Wording
		}
		c := p.changeRow(v, names)
		c.Current = v.Number == m.Version
		for _, part := range message.Parts() {
			if was, is := earlier.Of(part), v.Of(part); was != is {
				c.Diff = append(c.Diff, diffRow{p.part(part), was, is})
			}
		}
		d.History = append(d.History, c)
	}
	return nil
}

// fill puts texts into the form, and faults at their fields.
func (d *messagePage) fill(p *page, w, templates message.Wording, faults []message.WordingFault) {
	d.Fields = nil
	for _, part := range message.Parts() {
		f := messageField{Name: string(part), Label: p.part(part), Value: w.Of(part), Templates: templates.Of(part), Max: part.Max(), Long: part == message.PartLead}
		for _, v := range part.Variables() {
			f.Variables = append(f.Variables, "{"+v+"}")
		}
		for _, one := range faults {
			if one.Part == part {
				text := p.wordingFault(one)
				f.Wrong = append(f.Wrong, text)
				d.Faults = append(d.Faults, Fault{string(part), f.Label + ": " + text})
			}
		}
		d.Fields = append(d.Fields, f)
	}
}

func (p *page) wordingFault(f message.WordingFault) string {
	text := "\u2068" + f.Text + "\u2069"
	switch f.Code {
	case message.WordingTooLong:
		return p.t("Use at most %s characters.", text)
	case message.WordingLink:
		return p.t("Leave out links and addresses, such as %s: the only link in a message is the invite's.", text)
	case message.WordingNumber:
		return p.t("Leave out numbers, such as %s: phones turn them into links.", text)
	case message.WordingVariable:
		return p.t("%s is not a variable of this text.", text)
	case message.WordingMissing:
		return p.t("Use %s: without it, recipients do not know what is asked of them.", text)
	case message.WordingCharacter:
		return p.t("Remove line breaks and invisible characters.")
	case message.WordingSame:
		return p.t("Another message of the same invite has this subject. Mail programs would hide one of the two.")
	}
	return string(f.Code)
}

// changeMessage saves the texts of the form, or shows the message with them.
func (s *console) changeMessage(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	d, m, err := s.messageData(p)
	if err != nil {
		return p.orNoMessage(err)
	}
	w := wordingOf(form)
	base, _ := strconv.ParseInt(form.Get("base"), 10, 64)
	if form.Get("do") == "preview" {
		d.Version = base // a preview does not take the place of a colleague's change
		err = s.previewMessage(p, &d, w)
		if err == nil {
			d.fill(p, w, m.Templates, nil)
			return p.show("message", d)
		}
		return s.wrongMessage(p, d, m, w, err)
	}
	if form.Get("do") == doTest {
		d.Version = base // as for a preview
		return s.testMessage(p, d, m, w, form.Get("self"))
	}
	changed, err := s.Reword.Save(p.ctx(), p.by, m.Slot, w, base)
	switch {
	case err != nil:
		return s.wrongMessage(p, d, m, w, err)
	case !changed:
		return p.done(d.Home, "note", p.t("Nothing to save: the texts are the same."))
	}
	return p.done(d.Home, "good", p.t("Saved. Messages use this text from now on."))
}

// testMessage sends the message with the texts of the form to the person at it.
func (s *console) testMessage(p *page, d messagePage, m reword.Message, w message.Wording, key string) error {
	draft, err := s.Reword.Draft(p.ctx(), p.by, m.Slot, w)
	if err != nil {
		return s.wrongMessage(p, d, m, w, err)
	}
	d.fill(p, w, m.Templates, nil)
	status, err := s.sendTest(p, &d.Self, testsend.Order{Act: access.ActMessages, Texts: draft.Texts, Message: draft.Message, Form: key})
	if err != nil {
		return p.orForbidden(err)
	}
	return p.render(p, status, "message", d)
}

// wrongMessage answers with the form and its faults; nothing that was typed is lost.
func (s *console) wrongMessage(p *page, d messagePage, m reword.Message, w message.Wording, err error) error {
	var faults *reword.FaultsError
	switch {
	case errors.As(err, &faults):
		d.fill(p, w, m.Templates, faults.Faults)
	case errors.Is(err, reword.ErrChanged):
		d.Stale = true
		d.fill(p, w, m.Templates, nil)
	default:
		return p.orNoMessage(err)
	}
	return p.wrong("message", d)
}

func wordingOf(form url.Values) message.Wording {
	return message.Wording{
		Subject: form.Get(string(message.PartSubject)), Lead: form.Get(string(message.PartLead)), Button: form.Get(string(message.PartButton)),
	}.Tidy()
}

// previewMessage adds what an invite's email would be with the texts.
func (s *console) previewMessage(p *page, d *messagePage, w message.Wording) error {
	seen, err := s.Reword.Preview(p.ctx(), p.by, p.slot(), w)
	if err != nil {
		return err
	}
	d.Fallback = seen.SubjectLeftOut
	form := url.Values{"language": {p.Param("language")}, "situation": {p.Param("situation")}}
	for _, part := range message.Parts() {
		form.Set(string(part), w.Of(part))
	}
	sealed, err := p.sealDraft(form)
	if err != nil {
		return err
	}
	d.Frame = withQuery(d.URL("messages", "proof"), "draft", sealed)
	d.Preview = &preview{Subject: seen.Email.Subject, Text: compose.Hide(seen.Email.Text.Reveal(), hiddenCode)}
	return nil
}

// messageDraft serves the email of a preview, for a frame.
func (s *console) messageDraft(p *page) error {
	form, ok := p.openDraft(p.QueryParam("draft"))
	if !ok {
		return p.missing()
	}
	slot := message.Slot{Language: form.Get("language"), Situation: message.Situation(form.Get("situation"))}
	seen, err := s.Reword.Preview(p.ctx(), p.by, slot, wordingOf(form))
	if err != nil {
		return p.orNoMessage(err)
	}
	return p.serveSandboxed(compose.Hide(seen.Email.HTML.Reveal(), hiddenCode))
}

// restoreMessage goes back to an earlier version, or to the built-in texts.
func (s *console) restoreMessage(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	version, errVersion := strconv.ParseInt(form.Get("version"), 10, 64)
	base, errBase := strconv.ParseInt(form.Get("base"), 10, 64)
	if errVersion != nil || errBase != nil || version < 0 {
		return p.missing()
	}
	return s.movedMessage(p, true, s.Reword.Restore(p.ctx(), p.by, p.slot(), version, base), p.t("Restored. Messages use this text from now on."))
}

// copyMessage copies the texts of test mode to live mode.
func (s *console) copyMessage(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	version, err := strconv.ParseInt(form.Get("version"), 10, 64)
	if err != nil {
		return p.missing()
	}
	changed, err := s.Reword.CopyToLive(p.ctx(), p.by, p.slot(), version)
	return s.movedMessage(p, changed, err, p.t("Copied. Messages in live mode use this text from now on."))
}

// movedMessage answers an act on versions.
func (s *console) movedMessage(p *page, changed bool, err error, done string) error {
	var faults *reword.FaultsError
	d, m, dataErr := s.messageData(p)
	switch {
	case dataErr != nil:
		return p.orNoMessage(dataErr)
	case errors.As(err, &faults), errors.Is(err, reword.ErrChanged):
		return s.wrongMessage(p, d, m, m.Texts(), err)
	case err != nil:
		return p.orNoMessage(err)
	case !changed:
		return p.done(d.Home, "note", p.t("Live mode has this text already."))
	}
	return p.done(d.Home, "good", done)
}
