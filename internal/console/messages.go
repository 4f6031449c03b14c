package console

import (
	"errors"
	"strconv"
	"time"

	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/reword"
	"github.com/connectlink/connectlink/internal/store/wording"
)

// messagesPage lists the messages of a language.
type messagesPage struct {
	*view.Base
	TextLang, TextDir string // the language of the texts, and its direction
	Tabs              []tab
	Rows              []messageRow
}

type messageRow struct {
	URL, Name, When string
	Texts           message.Wording
	Changed         *changeRow // nil: the texts are the templates'
}

// changeRow is a version in a message's history.
type changeRow struct {
	Number  int64
	Did     string
	By      string
	At      time.Time
	Diff    []diffRow
	Current bool
}

// diffRow is a text that a version changed.
type diffRow struct{ Name, Before, After string }

func (s *console) messages(p *page) error {
	tags := s.Reword.Languages(p.by)
	lang := oneOf(p.QueryParam("language"), tags...)
	if lang == "" {
		lang = s.Composer.Messages(p.by.Place).Match("")
	}
	list, err := s.Reword.List(p.ctx(), p.by, lang)
	if err != nil {
		return p.orNoMessage(err)
	}
	names, err := s.names(p)
	if err != nil {
		return err
	}
	d := messagesPage{Base: p.base(p.t("Messages"), "messages"), TextLang: lang, TextDir: s.Composer.Messages(p.by.Place).Dir(lang)}
	for _, tag := range tags {
		d.Tabs = append(d.Tabs, tab{withQuery(d.URL("messages"), "language", tag), languageName(tag), tag == lang})
	}
	for _, m := range list {
		name, when := p.messageName(m.Situation)
		r := messageRow{URL: d.URL("messages", lang, string(m.Situation)), Name: name, When: when, Texts: m.Texts()}
		if m.Own != (message.Wording{}) {
			c := p.changeRow(m.Changed, names)
			r.Changed = &c
		}
		d.Rows = append(d.Rows, r)
	}
	return p.show("messages", d)
}

// messageName returns the name of a message, and when it is sent.
func (p *page) messageName(of message.Situation) (name, when string) {
	switch of {
	case message.OnFirst:
		return p.t("First message"), p.t("Sent when an invite is created.")
	case message.OnRequest:
		return p.t("First message, requested"), p.t("Sent when the recipient asked for the link.")
	case message.OnResend:
		return p.t("Resend"), p.t("Sent with each new link of the same invite.")
	case message.OnReminder:
		return p.t("Reminder"), p.t("Sent while the link is not opened.")
	case message.OnReconnect:
		return p.t("Reconnect"), p.t("Sent when a connected account has to be connected again.")
	}
	return string(of), ""
}

func (p *page) part(of message.Part) string {
	switch of {
	case message.PartSubject:
		return p.t("Subject")
	case message.PartLead:
		return p.t("First sentence")
	case message.PartButton:
		return p.t("Button")
	}
	return string(of)
}

func (p *page) changeRow(v wording.Version, names map[string]string) changeRow {
	c := changeRow{Number: v.Number, By: names[v.Author], At: v.CreatedAt}
	if c.By == "" {
		c.By = p.t("A colleague")
	}
	switch {
	case v.Did == wording.Copied:
		c.Did = p.t("Copied from test mode")
	case v.Did == wording.Restored && v.From == 0:
		c.Did = p.t("Back to the built-in text")
	case v.Did == wording.Restored:
		c.Did = p.t("Back to version %s", strconv.FormatInt(v.From, 10))
	default:
		c.Did = p.t("Changed")
	}
	return c
}

// slot is the message that the path names.
func (p *page) slot() message.Slot {
	return message.Slot{Language: p.Param("language"), Situation: message.Situation(p.Param("situation"))}
}

// orNoMessage answers 404 for a message that there is not.
func (p *page) orNoMessage(err error) error {
	if errors.Is(err, reword.ErrNoMessage) {
		return p.missing()
	}
	return err
}
