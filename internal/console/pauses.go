package console

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/pause"
	"github.com/connectlink/connectlink/internal/store/traffic"
)

// pausesPage lists the paused countries, ranges of numbers and keys.
type pausesPage struct {
	*view.Base
	Rows, Ended     []pauseRow
	Whys            []view.Choice
	Country, Prefix string
	Faults          []Fault
}

type pauseRow struct {
	What, Source, Why string
	Figures           string
	Since             time.Time
	By                string
	Until             time.Time // of an ended one
	UntilBy           string
	Scope, Name       string
	Invites           []pausedInvite
	Badge             view.Badge
}

// pausedInvite is an invite that was reported.
type pausedInvite struct{ ID, URL string }

// Wrong is the fault of a field; the template asks for it.
func (d pausesPage) Wrong(field string) string { return faultOf(d.Faults, field) }

// endedShown is how many resumed pauses the page shows.
const endedShown = 20

func (s *console) pauses(p *page) error {
	d, err := s.pausesData(p)
	if err != nil {
		return err
	}
	return p.show("pauses", d)
}

func (s *console) pausesData(p *page) (pausesPage, error) {
	d := pausesPage{Base: p.base(p.t("Pauses"), "pauses")}
	list, err := s.Pause.List(p.ctx(), p.by, endedShown)
	if err != nil {
		return d, err
	}
	names, err := s.names(p)
	if err != nil {
		return d, err
	}
	for _, one := range list {
		r := p.pauseRow(one, names)
		if one.ResumedAt != nil {
			d.Ended = append(d.Ended, r)
		} else {
			d.Rows = append(d.Rows, r)
		}
	}
	for _, w := range pause.SubjectWhys() {
		d.Whys = append(d.Whys, view.Choice{Value: string(w), Text: p.t(whyName(string(w)))})
	}
	return d, nil
}

func (p *page) pauseRow(one traffic.Pause, names map[string]string) pauseRow {
	r := pauseRow{
		What: p.pausedSubject(one.Subject), Source: p.t(pauseSource(one.Source)), Why: p.t(whyName(one.Why)), Since: one.PausedAt, By: names[one.PausedBy],
		Scope: string(one.Scope), Name: one.Name, UntilBy: names[one.ResumedBy], Figures: p.pauseFigures(one.Figures),
		Badge: view.Badge{Kind: "warn", Icon: "pause", Text: p.t("Paused")},
	}
	if one.Source != traffic.ByPerson {
		r.By = p.t("the service")
		r.Badge.Kind = "bad"
	}
	if r.By == "" {
		r.By = one.PausedBy
	}
	if one.ResumedAt != nil {
		r.Until = *one.ResumedAt
		if r.UntilBy == "" {
			r.UntilBy = one.ResumedBy
		}
	}
	for _, id := range one.Figures.Invites {
		r.Invites = append(r.Invites, pausedInvite{id, p.frame.URL("invites", id)})
	}
	return r
}

func (p *page) pausedSubject(s traffic.Subject) string {
	switch s.Scope {
	case traffic.Country:
		return p.t("Text messages to %s", s.Name)
	case traffic.Prefix:
		return p.t("Text messages to numbers that begin with %s", s.Name)
	case traffic.Key:
		return p.t("Messages of the API key %s", s.Name)
	}
	return s.Name
}

// pauseFigures is what led to a pause, as a sentence; empty for a pause by a person.
func (p *page) pauseFigures(f traffic.Figures) string {
	switch {
	case f.Reports > 0 && f.Inviter:
		return p.t("%s of %s messages with the name of one inviter were reported or marked as spam.", p.frame.Number(f.Reports), p.frame.Number(f.Sent))
	case f.Reports > 0:
		return p.t("%s of %s messages were reported or marked as spam.", p.frame.Number(f.Reports), p.frame.Number(f.Sent))
	case f.Sent > 0:
		return p.t("%s messages within %s: people visited %s, at least %s were expected. Usually people visit %s %% of messages.",
			p.frame.Number(f.Sent), p.frame.Span(time.Duration(f.WindowS)*time.Second), p.frame.Number(f.Visited),
			strconv.FormatFloat(f.Expected, 'f', 1, 64), strconv.FormatFloat(100*f.Rate, 'f', 0, 64))
	}
	return ""
}

func pauseSource(s traffic.Source) string {
	switch s {
	case traffic.ByPerson:
		return view.M("By a person")
	case traffic.ByFirewall:
		return view.M("Spend firewall")
	case traffic.ByReports:
		return view.M("Reports of recipients")
	}
	return string(s)
}

// pauseCountry pauses text messages to a country or a range of numbers.
func (s *console) pauseCountry(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	changed := false
	subject, err := pause.ParseSubject(p.by.Place, form.Get("country"), form.Get("prefix"))
	if err == nil {
		changed, err = s.Pause.StopSubject(p.ctx(), p.by, subject, pause.Why(form.Get("why")))
	}
	var known *invite.Error
	switch {
	case errors.As(err, &known):
		d, err := s.pausesData(p)
		if err != nil {
			return err
		}
		d.Country, d.Prefix, d.Faults = form.Get("country"), form.Get("prefix"), p.pauseFaults(known)
		return p.wrong("pauses", d)
	case err != nil:
		return err
	case !changed:
		return p.done(p.frame.URL("pauses"), "note", p.t("This was already paused."))
	}
	return p.done(p.frame.URL("pauses"), "good", p.t("Paused. New invites there are refused; accepted messages wait."))
}

func (p *page) pauseFaults(e *invite.Error) []Fault {
	for _, f := range e.Faults {
		switch f.Pointer {
		case "/country":
			return []Fault{{"country", p.t("Enter a country's two-letter code, as GB, or the first digits of the numbers.")}}
		case "/prefix":
			return []Fault{{"prefix", p.t("Enter + and the first 3 to 13 digits of the numbers, as +447700.")}}
		}
	}
	return []Fault{{"why", p.t("Choose a reason.")}}
}

// resumePaused ends a pause.
func (s *console) resumePaused(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	subject := traffic.Subject{Place: p.by.Place, Scope: traffic.Scope(form.Get("scope")), Name: form.Get("name")}
	changed, err := s.Pause.ResumeSubject(p.ctx(), p.by, subject)
	return p.resumed(changed, err, "pauses", p.t("This was not paused."), p.t("Resumed. Queued messages go out now."))
}

// resumed answers a resume on the named page. A refusal answers as a page that there is not.
func (p *page) resumed(changed bool, err error, name, not, done string) error {
	var known *invite.Error
	switch {
	case errors.As(err, &known):
		return p.missing()
	case err != nil:
		return err
	case !changed:
		return p.done(p.frame.URL(name), "note", not)
	}
	return p.done(p.frame.URL(name), "good", done)
}

// pausedSubjects returns the paused countries, ranges and keys, for the banner.
func (s *console) pausedSubjects(ctx context.Context, p *page) ([]view.Held, error) {
	list, err := s.Pause.List(ctx, p.by, 0)
	if err != nil {
		return nil, err
	}
	var out []view.Held
	for _, one := range list {
		out = append(out, view.Held{Text: p.t("Paused: %s.", p.pausedSubject(one.Subject)), Live: one.Live, Why: p.t(whyName(one.Why)), Effect: p.t("New invites are refused; accepted messages wait until they are resumed."), Since: one.PausedAt})
		if len(out) == bannersShown {
			break
		}
	}
	return out, nil
}

// bannersShown bounds the banners of a page.
const bannersShown = 3
