package console

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/connectlink/connectlink/internal/console/story"
	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/publish"
)

// attemptsShown is how many attempts a page has.
const attemptsShown = 25

// webhookPage is one endpoint with its attempts.
type webhookPage struct {
	*view.Base
	endpointRow

	Secret    string // shown this once
	OldUntil  time.Time
	Types     []view.Choice // of the form
	TestTypes []view.Choice
	Sinces    []view.Choice
	Attempts  []attemptRow
	Older     string
	Faults    []Fault
}

type attemptRow struct {
	At             time.Time
	EventID, Event string // id and address of the page
	Number, Took   string
	Badge          view.Badge
	Answer         string // of a third party, masked
}

func (p *page) attemptRow(a publish.Attempt) attemptRow {
	r := attemptRow{
		At: a.CreatedAt, EventID: a.EventID.String(), Event: p.frame.URL("events", a.EventID.String()), Number: strconv.Itoa(a.Number),
		Took: strconv.FormatInt(a.Took.Milliseconds(), 10) + " ms", Answer: story.MaskText(a.Answer),
	}
	switch {
	case a.Status >= 200 && a.Status <= 299:
		r.Badge = view.Badge{Kind: "good", Icon: "check", Text: strconv.Itoa(a.Status)}
	case a.Status != 0:
		r.Badge = view.Badge{Kind: "bad", Icon: "alert", Text: strconv.Itoa(a.Status)}
	default:
		r.Badge, r.Answer = view.Badge{Kind: "bad", Icon: "alert", Text: p.t("No answer")}, a.Failure
	}
	return r
}

// sinces are how far back a recovery can reach, in hours.
func sinces() []int { return []int{1, 6, 24, 72, 168, 720} }

func (s *console) webhookPage(p *page, id invite.EndpointID) (webhookPage, error) {
	e, err := s.Endpoints.Get(p.ctx(), p.by, id)
	if err != nil {
		return webhookPage{}, err
	}
	d := webhookPage{Base: p.base(p.t("Webhook endpoint"), "webhooks"), endpointRow: p.webhookRow(e)}
	if e.OldSecretUntil != nil {
		d.OldUntil = *e.OldSecretUntil
	}
	var chosen []string
	for _, t := range e.Types {
		chosen = append(chosen, string(t))
	}
	d.Types, d.TestTypes = typeChoices(chosen), typeChoices([]string{"invite.connected"})
	for _, hours := range sinces() {
		text := p.frame.TN("%d hour", "%d hours", hours)
		if hours > 24 {
			text = p.frame.TN("%d day", "%d days", hours/24)
		}
		d.Sinces = append(d.Sinces, view.Choice{Value: strconv.Itoa(hours), Text: text, Chosen: hours == 24})
	}
	before, _ := invite.Parse[invite.WebhookAttemptID](p.QueryParam("after"))
	attempts, next, err := s.Endpoints.Attempts(p.ctx(), p.by, id, invite.EventID{}, before, attemptsShown)
	if err != nil {
		return d, err
	}
	for _, a := range attempts {
		d.Attempts = append(d.Attempts, p.attemptRow(a))
	}
	if !next.IsZero() {
		d.Older = withQuery(d.Home, "after", next.String())
	}
	return d, nil
}

// ofWebhook makes a page about the endpoint that the path names; where there is no such
// endpoint, it is the page that says so.
func ofWebhook(do func(*page, invite.EndpointID) error) func(*page) error {
	return func(p *page) error {
		id, err := invite.Parse[invite.EndpointID](p.Param("id"))
		if err != nil {
			return p.missing()
		}
		err = do(p, id)
		var refused *invite.Error
		switch {
		case errors.As(err, &refused) && refused.Code == invite.CodeEndpointNotFound:
			return p.missing()
		case errors.As(err, &refused) && refused.Code == invite.CodeManagedByConfiguration:
			return p.done(p.frame.URL("webhooks", id.String()), "bad", p.t("Nothing was done: this endpoint is set in the service's configuration and is changed there."))
		}
		return err
	}
}

func (s *console) webhook(p *page, id invite.EndpointID) error {
	d, err := s.webhookPage(p, id)
	if err != nil {
		return err
	}
	return p.show("webhook", d)
}

// changeWebhook chooses the events, or disables and enables.
func (s *console) changeWebhook(p *page, id invite.EndpointID) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	var c publish.EndpointChange
	said := p.t("The events are changed.")
	switch do := form.Get("do"); do {
	case "disable", "enable":
		off := do == "disable"
		c.Disabled = &off
		if said = p.t("The endpoint is enabled. What waited is posted now."); off {
			said = p.t("The endpoint is disabled. New events are not queued for it; post them later by a recovery.")
		}
	default:
		types := form["type"]
		c.Types = &types
	}
	_, err = s.Endpoints.Update(p.ctx(), p.by, id, c)
	var refused *invite.Error
	if errors.As(err, &refused) && len(refused.Faults) > 0 {
		d, err := s.webhookPage(p, id)
		if err != nil {
			return err
		}
		d.Faults = p.webhookFaults(refused)
		return p.wrong("webhook", d)
	}
	if err != nil {
		return err
	}
	return p.done(p.frame.URL("webhooks", id.String()), "good", said)
}

// rotateWebhook gives an endpoint a new secret and shows it, this once.
func (s *console) rotateWebhook(p *page, id invite.EndpointID) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	expire := publish.DefaultExpireOld
	if form.Get("now") != "" {
		expire = 0
	}
	e, err := s.Endpoints.RotateSecret(p.ctx(), p.by, id, expire)
	if err != nil {
		return err
	}
	d, err := s.webhookPage(p, id)
	if err != nil {
		return err
	}
	d.Secret = e.Secret.Reveal()
	return p.render(p, http.StatusOK, "webhook", d)
}

func (s *console) testWebhook(p *page, id invite.EndpointID) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	if !invite.IsPublic(form.Get("type")) {
		return p.done(p.frame.URL("webhooks", id.String()), "bad", p.t("Nothing was posted. Choose a type of event first."))
	}
	a, err := s.Endpoints.Test(p.ctx(), p.by, id, invite.PublicType(form.Get("type")))
	if err != nil {
		return err
	}
	kind, said := "bad", p.t("No answer came: %s.", a.Failure)
	if a.Status != 0 {
		said = p.t("The endpoint answered %d after %s.", a.Status, strconv.FormatInt(a.Took.Milliseconds(), 10)+" ms")
	}
	if a.Status >= 200 && a.Status <= 299 {
		kind = "good"
	}
	return p.done(p.frame.URL("webhooks", id.String()), kind, said)
}

func (s *console) recoverWebhook(p *page, id invite.EndpointID) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	hours, err := strconv.Atoi(form.Get("hours"))
	if err != nil || hours < 1 || hours > 720 {
		return p.done(p.frame.URL("webhooks", id.String()), "bad", p.t("Nothing was queued. Choose a period first."))
	}
	n, err := s.Endpoints.Recover(p.ctx(), p.by, id, s.Now().Add(-time.Duration(hours)*time.Hour))
	if err != nil {
		return err
	}
	return p.done(p.frame.URL("webhooks", id.String()), "good", p.frame.TN("%d event is queued.", "%d events are queued.", n))
}

func (s *console) deleteWebhook(p *page, id invite.EndpointID) error {
	if err := s.Endpoints.Delete(p.ctx(), p.by, id); err != nil {
		return err
	}
	return p.done(p.frame.URL("webhooks"), "good", p.t("The endpoint is deleted."))
}
