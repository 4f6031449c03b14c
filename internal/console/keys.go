package console

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/account"
)

// keysPage is the API keys of this project and mode, and the form for another.
type keysPage struct {
	*view.Base
	Keys   []keyRow
	Made   string // a key, shown this once
	Note   string // beside it
	Name   string
	Scopes []view.Choice
	Days   []view.Choice
	Faults []Fault
}

type keyRow struct {
	ID, Name, Hint, Scopes string
	Created                time.Time
	Used, Expires          time.Time // zero: never
	From                   string    // the network of the last use
	Badge                  view.Badge
	Usable                 bool
}

// keyDays are the lives a key can be given here, in days; 0 has no end.
func keyDays() []int { return []int{30, 90, 365, 0} }

func (s *console) keysPage(p *page) (keysPage, error) {
	d := keysPage{Base: p.base(p.t("API keys"), "keys")}
	all, err := s.Keys.List(p.ctx(), p.by.Project)
	if err != nil {
		return d, err
	}
	for _, k := range all {
		if k.Live != p.by.Live {
			continue
		}
		r := keyRow{ID: k.ID.String(), Name: k.Name, Hint: k.Hint, Scopes: strings.Join(k.Scopes, ", "), Created: k.CreatedAt, Usable: k.Usable}
		if k.LastUsedAt != nil {
			r.Used = *k.LastUsedAt
		}
		r.From = networkName(p, k.LastUsedFrom)
		if k.ExpiresAt != nil {
			r.Expires = *k.ExpiresAt
		}
		switch {
		case k.RevokedAt != nil:
			r.Badge = view.Badge{Kind: "calm", Icon: "ban", Text: p.t("Revoked")}
		case !k.Usable:
			r.Badge = view.Badge{Kind: "warn", Icon: "clock", Text: p.t("Expired")}
		case k.ExpiresAt != nil && k.ExpiresAt.Sub(s.Now()) < account.FirstWarning*24*time.Hour:
			r.Badge = view.Badge{Kind: "warn", Icon: "clock", Text: p.t("Expires soon")}
		default:
			r.Badge = view.Badge{Kind: "good", Icon: "check", Text: p.t("Active")}
		}
		d.Keys = append(d.Keys, r)
	}
	d.choices(p, access.DefaultScopes(), 365)
	return d, nil
}

func (d *keysPage) choices(p *page, scopes []access.Scope, days int) {
	d.Scopes, d.Days = nil, nil
	for _, scope := range access.Scopes() {
		chosen := false
		for _, have := range scopes {
			chosen = chosen || have == scope
		}
		d.Scopes = append(d.Scopes, view.Choice{Value: string(scope), Text: p.t(scopeName(scope)), Chosen: chosen})
	}
	for _, n := range keyDays() {
		text := p.t("No expiry")
		if n > 0 {
			text = p.frame.TN("%d day", "%d days", n)
		}
		d.Days = append(d.Days, view.Choice{Value: strconv.Itoa(n), Text: text, Chosen: n == days})
	}
}

func scopeName(s access.Scope) string {
	switch s {
	case access.InvitesWrite:
		return view.M("Create, resend and revoke invites")
	case access.InvitesRead:
		return view.M("Read and list invites, without links")
	case access.LinksRead:
		return view.M("Read the links of an invite")
	case access.Suppressions:
		return view.M("View, add and remove suppressions")
	case access.Webhooks:
		return view.M("Manage webhook endpoints")
	case access.Admin:
		return view.M("Keys and settings of the project")
	}
	return string(s)
}

func (s *console) keys(p *page) error {
	d, err := s.keysPage(p)
	if err != nil {
		return err
	}
	return p.show("keys", d)
}

// createKey makes a key and shows it, this once: a page that is loaded again
// does not have it.
func (s *console) createKey(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	name := strings.TrimSpace(form.Get("name"))
	var faults []Fault
	if fault := p.nameFault(name); fault != "" {
		faults = append(faults, Fault{"name", fault})
	}
	var scopes []access.Scope
	if len(form["scope"]) > 0 {
		scopes, err = access.ParseScopes(strings.Join(form["scope"], " "))
	}
	if err != nil || len(scopes) == 0 {
		faults = append(faults, Fault{"scope", p.t("Choose the permissions of the key.")})
	}
	days, err := strconv.Atoi(form.Get("days"))
	if err != nil || days < 0 || days > 3650 {
		faults = append(faults, Fault{"days", p.t("Choose how long the key works.")})
	}
	if len(faults) > 0 {
		d, err := s.keysPage(p)
		if err != nil {
			return err
		}
		d.Name, d.Faults = name, faults
		d.choices(p, scopes, days)
		return p.wrong("keys", d)
	}
	n := grant.NewKey{
		Place: p.by.Place, Name: name, Environment: p.by.Environment, Scopes: scopes, By: p.by,
	}
	if days > 0 {
		at := s.Now().AddDate(0, 0, days)
		n.ExpiresAt = &at
	}
	key, _, err := s.Keys.Create(p.ctx(), n)
	if err != nil {
		return err
	}
	d, err := s.keysPage(p)
	if err != nil {
		return err
	}
	d.Made = key.Reveal()
	return p.render(p, http.StatusCreated, "keys", d)
}

func (s *console) revokeKey(p *page) error {
	id, err := invite.Parse[invite.KeyID](p.Param("id"))
	if err != nil {
		return p.missing()
	}
	form, err := p.form()
	if err != nil {
		return err
	}
	changed, err := s.Keys.RevokeBy(p.ctx(), p.by, id)
	switch {
	case errors.Is(err, account.ErrNotFound):
		return p.missing()
	case err != nil:
		return err
	case !changed:
		return p.done(p.frame.URL("keys"), "note", p.t("This key was already revoked."))
	}
	said := p.t("The key is revoked. Running services reject it within 5 seconds.")
	if form.Get("cancel") != "" {
		n, err := s.Invites.CancelUnsent(p.ctx(), p.by, id)
		if err != nil {
			return err
		}
		return p.done(p.frame.URL("keys"), "good", said+" "+p.t("Unsent invites revoked with it: %d.", n))
	}
	n, err := s.Invites.CountUnsent(p.ctx(), p.by, id)
	if err != nil {
		return err
	}
	if n > 0 {
		said += " " + p.t("Invites created with it that are still to be sent: %d.", n)
	}
	return p.done(p.frame.URL("keys"), "good", said)
}

// networkName is the network of a key's last use in words.
func networkName(p *page, network string) string {
	switch network {
	case access.Loopback:
		return p.t("this server")
	case access.PrivateNetwork:
		return p.t("a private network")
	}
	return network
}

// maxEndingKeys bounds the notices on one page.
const maxEndingKeys = 5

// endingKeys are the keys of the page's project and mode that end soon and have no
// replacement.
func (s *console) endingKeys(p *page) ([]limitNotice, error) {
	list, err := account.ListEndingKeys(p.ctx(), s.DB, p.by.Place, maxEndingKeys)
	if err != nil {
		return nil, err
	}
	var out []limitNotice
	for _, k := range list {
		b := view.Badge{Kind: "warn", Icon: "clock", Text: p.t("Expires soon")}
		if k.Days == account.LastWarning {
			b.Kind = "bad"
		}
		days := int(k.ExpiresAt.Sub(s.Now()).Hours()/24) + 1
		out = append(out, limitNotice{p.t("API key %s (%s):", k.Name, k.Hint) + " " + p.frame.TN("it expires within %d day. Create another and give it to the product.", "it expires within %d days. Create another and give it to the product.", days), b})
	}
	return out, nil
}

// rotateKey replaces a key and shows the new one, this once.
func (s *console) rotateKey(p *page) error {
	id, err := invite.Parse[invite.KeyID](p.Param("id"))
	if err != nil {
		return p.missing()
	}
	end := s.Now().Add(grant.KeyLife)
	r, err := s.Keys.Rotate(p.ctx(), grant.Rotation{ID: id, ExpiresAt: &end, Overlap: grant.Overlap, By: p.by})
	switch {
	case errors.Is(err, account.ErrNotFound):
		return p.missing()
	case errors.Is(err, grant.ErrKeyEnded):
		return p.done(p.frame.URL("keys"), "note", p.t("This key does not work any more. Create a new one."))
	case err != nil:
		return err
	}
	d, err := s.keysPage(p)
	if err != nil {
		return err
	}
	d.Made, d.Note = r.Key.Reveal(), p.t("The replaced key works for 24 more hours.")
	if r.Paused {
		d.Note += " " + p.t("It is paused, and the new key is too: resume them on the page Pauses.")
	}
	return p.render(p, http.StatusCreated, "keys", d)
}
