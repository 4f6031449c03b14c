package console

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/publish"
	"github.com/connectlink/connectlink/internal/store/endpoint"
)

// webhooksPage is the webhook endpoints of this project and mode, and the form for
// another.
type webhooksPage struct {
	*view.Base
	Endpoints            []endpointRow
	Made                 string // a secret, shown this once
	Address, Description string // of the form
	Types                []view.Choice
	Faults               []Fault
}

type endpointRow struct {
	ID, Address, Description, Home string
	Chosen                         string // types of events
	Badge                          view.Badge
	Why                            string    // it is disabled, where its product did not ask for that
	Failing                        time.Time // since when; zero: it is not
	Configured                     bool
	Disabled                       bool
}

// webhookRow is an endpoint as lists and its own page show it.
func (p *page) webhookRow(e publish.Endpoint) endpointRow {
	r := endpointRow{
		ID: e.ID.String(), Address: e.URL, Description: e.Description, Home: p.frame.URL("webhooks", e.ID.String()),
		Chosen: p.t("All events"), Configured: e.ManagedBy == endpoint.ByConfiguration, Disabled: e.DisabledAt != nil,
	}
	if len(e.Types) > 0 {
		names := make([]string, len(e.Types))
		for i, t := range e.Types {
			names[i] = string(t)
		}
		r.Chosen = strings.Join(names, ", ")
	}
	if e.FailingSince != nil {
		r.Failing = *e.FailingSince
	}
	switch {
	case e.DisabledWhy == endpoint.Gone:
		r.Badge, r.Why = view.Badge{Kind: "bad", Icon: "ban", Text: p.t("Disabled")}, p.t("It answered 410: it wants no more events.")
	case e.DisabledWhy == endpoint.Failing:
		r.Badge, r.Why = view.Badge{Kind: "bad", Icon: "ban", Text: p.t("Disabled")}, p.t("No post succeeded for 5 days.")
	case e.DisabledAt != nil:
		r.Badge = view.Badge{Kind: "calm", Icon: "ban", Text: p.t("Disabled")}
	case e.FailingSince != nil:
		r.Badge = view.Badge{Kind: "warn", Icon: "alert", Text: p.t("Failing")}
	default:
		r.Badge = view.Badge{Kind: "good", Icon: "check", Text: p.t("Active")}
	}
	return r
}

// needsAttention reports whether an endpoint misses events and its product did not ask
// for that.
func (r endpointRow) needsAttention() bool { return r.Badge.Kind == "bad" || r.Badge.Kind == "warn" }

func (s *console) webhookRows(p *page) ([]endpointRow, error) {
	list, err := s.Endpoints.List(p.ctx(), p.by)
	if err != nil {
		return nil, err
	}
	out := make([]endpointRow, 0, len(list))
	for _, e := range list {
		out = append(out, p.webhookRow(e))
	}
	return out, nil
}

func (s *console) webhooksPage(p *page) (d webhooksPage, err error) {
	d = webhooksPage{Base: p.base(p.t("Webhook endpoints"), "webhooks"), Types: typeChoices(nil)}
	d.Endpoints, err = s.webhookRows(p)
	return d, err
}

// typeChoices are the types of events, with those that are chosen.
func typeChoices(chosen []string) []view.Choice {
	var out []view.Choice
	for _, t := range invite.PublicTypes() {
		out = append(out, view.Choice{Value: string(t), Text: string(t), Chosen: slices.Contains(chosen, string(t))})
	}
	return out
}

func (s *console) webhooks(p *page) error {
	d, err := s.webhooksPage(p)
	if err != nil {
		return err
	}
	return p.show("webhooks", d)
}

// createWebhook makes an endpoint and shows its secret, this once.
func (s *console) createWebhook(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	address, description, types := strings.TrimSpace(form.Get("url")), form.Get("description"), form["type"]
	e, err := s.Endpoints.Create(p.ctx(), p.by, publish.EndpointChange{URL: &address, Description: &description, Types: &types})
	var refused *invite.Error
	if err != nil && !errors.As(err, &refused) {
		return err
	}
	d, err := s.webhooksPage(p)
	if err != nil {
		return err
	}
	if refused != nil {
		d.Address, d.Description, d.Types, d.Faults = address, description, typeChoices(types), p.webhookFaults(refused)
		return p.wrong("webhooks", d)
	}
	d.Made = e.Secret.Reveal()
	return p.render(p, http.StatusCreated, "webhooks", d)
}

// webhookFaults puts a refusal into words, each at its field.
func (p *page) webhookFaults(e *invite.Error) (out []Fault) {
	for _, f := range e.Faults {
		field, name := "type", p.t("Events:")
		switch f.Pointer {
		case "/url":
			field, name = "url", p.t("URL:")
		case "/description":
			field, name = "description", p.t("Description:")
		}
		text := p.detail(f.Code, f.Detail)
		if f.Code == invite.CodeWebhookURLNotAllowed && p.frame.Lang != "en" {
			text = p.t("Events must not be posted to this address. It must be a public https address, unless the setting %s allows others.", "webhook.allow_private")
		}
		out = append(out, Fault{field, name + " " + text})
	}
	if len(out) == 0 {
		text := e.Message
		if p.frame.Lang != "en" {
			text = p.t("This project and mode has the most endpoints that are possible. Delete one first.")
		}
		out = []Fault{{"url", text}}
	}
	return out
}

// webhookNotices are the endpoints that miss events, for those who can help.
func (s *console) webhookNotices(p *page) (out []endpointRow, err error) {
	if !p.by.May(access.ActWebhooks) {
		return nil, nil
	}
	rows, err := s.webhookRows(p)
	for _, r := range rows {
		if r.needsAttention() {
			out = append(out, r)
		}
	}
	return out, err
}
