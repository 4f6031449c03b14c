package issue

import (
	"context"
	"strings"
	"time"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/pipedream"
	"github.com/connectlink/connectlink/internal/secret"
)

// Proofs renders messages without sending them; *message.Renderer does.
type Proofs interface {
	Inspect(v message.Vars) (message.Inspection, error)
	Languages() []string
	Match(locale string) string
}

// Draft is an invite as its pages need it: one that was checked and not created,
// or one that was created, with a Code that opens nothing.
type Draft struct {
	Project     config.Project
	Livemode    bool
	OneWay      bool // people cannot reply to what its texts come from
	App         invite.App
	InitiatedBy invite.InitiatedBy
	Content     invite.Content
	Channel     invite.Channel
	Verify      invite.Verify
	Now         time.Time
	ExpiresAt   time.Time
	// Code replaces the invite's code: of the same length, and it opens
	// nothing.
	Code string

	// Of an invite that was made: what its pages quote, why connecting failed and
	// whether there is a new link since, and since when there is a newer one.
	Reference    string
	Failure      string
	FailedBefore bool
	ReplacedAt   time.Time
}

// PreviewPage is one page of an invite as its recipient would see it.
type PreviewPage struct {
	State  string `json:"state"`
	Status int    `json:"status"` // HTTP
	HTML   string `json:"html"`
}

// Preview is what an invite would look like in one language.
type Preview struct {
	message.Inspection
	Pages []PreviewPage
	// Changed lists the texts that recipients read differently from the request;
	// it is the same in every language.
	Changed []Warning
}

// everyLanguage asks for all of them.
const everyLanguage = "all"

// previewCode is as long as a code, so that segments are counted rightly. A dash
// cannot stand in a code: this one opens nothing.
const previewCode = "preview-000000000000"

// Preview returns the messages and pages of a Create, in the recipient's
// language, in a given one, or in every one ("all"). Nothing is stored, minted
// or sent, and suppressions are not checked. Errors are as Create's for faults
// of the request, and invalid_request for a language without messages.
func (s *Service) Preview(ctx context.Context, p access.Principal, req CreateRequest, lang string) ([]Preview, error) {
	project, err := s.project(p)
	if err != nil {
		return nil, err
	}
	o, err := validate(req, p, project, s.p.PublicURL, s.p.Now())
	if err != nil {
		return nil, s.withNearestApp(ctx, p, req.App, err)
	}
	if s.p.Proofs == nil {
		return nil, invite.Errorf(invite.CodeUnavailable, "This process renders no messages.")
	}
	proofs := s.p.Proofs(p.Project)
	langs, err := wanted(proofs, lang, o.content.Recipient.Locale)
	if err != nil {
		return nil, err
	}
	app := invite.App{Slug: o.app, Name: o.app}
	if m, ok := s.p.Minters(p.Place, p.Environment); ok {
		if app, err = s.app(ctx, m, o.app); err != nil {
			return nil, err
		}
	}
	now := s.p.Now()
	d := Draft{
		Project: project, Livemode: p.Live, OneWay: s.p.OneWay(p.Place), App: app, InitiatedBy: o.initiatedBy, Content: o.content, Channel: o.channel, Verify: o.verify,
		Now: now, ExpiresAt: now.Add(max(o.expiresIn, o.validFor)), Code: previewCode,
	}
	if o.validFor > 0 {
		d.ExpiresAt = now.Add(o.validFor)
	}
	vars := d.vars(s.p.PublicURL, o)
	warnings := changed(req, o)
	out := make([]Preview, 0, len(langs))
	for _, l := range langs {
		vars.Locale = l
		seen, err := proofs.Inspect(vars)
		if err != nil {
			return nil, err
		}
		if len(warnings) > 0 {
			seen.Warnings = append(seen.Warnings, message.Warning{
				Code: message.WarnText, Detail: "links, control characters or what was too long are taken out of " + strings.Join(pointers(warnings), ", "),
			})
		}
		one := Preview{Inspection: seen, Changed: warnings}
		if s.p.ShowPages != nil {
			if one.Pages, err = s.p.ShowPages(d, l); err != nil {
				return nil, err
			}
		}
		out = append(out, one)
	}
	return out, nil
}

// wanted resolves the language a preview is asked for in.
func wanted(proofs Proofs, lang, locale string) ([]string, error) {
	switch {
	case lang == "":
		return []string{proofs.Match(locale)}, nil
	case lang == everyLanguage:
		return proofs.Languages(), nil
	}
	got := proofs.Match(lang)
	base, _, _ := strings.Cut(strings.ReplaceAll(lang, "_", "-"), "-")
	if !strings.EqualFold(got, lang) && !strings.EqualFold(got, base) {
		var f faults
		f.add("/language", invite.FaultInvalid, "must be one of %s, or all", strings.Join(proofs.Languages(), ", "))
		return nil, f.err()
	}
	return []string{got}, nil
}

// vars are what dispatch would compose the messages from.
func (d Draft) vars(publicURL string, o order) message.Vars {
	b, r := d.Project.Brand, d.Content.Recipient
	v := message.Vars{
		Brand: b.Name, AppName: d.App.Name, Inviter: d.Content.Inviter, Reason: d.Content.Reason, Note: d.Content.Note, RecipientName: r.Name,
		URL: secret.New(publicURL + "/c/" + d.Code), LinkType: message.LinkInvite, Initiator: message.Initiator(d.InitiatedBy),
		ExpiresAt: d.ExpiresAt, Now: d.Now, RecipientEmail: secret.New(r.Email),
		SupportEmail: b.SupportEmail, LegalLine: b.LegalLine, PrivacyURL: b.PrivacyURL, Colour: b.Colour, LogoURL: b.LogoURL,
		CanRenew: true, CanReport: true,
	}
	if r.Email == "" {
		v.RecipientEmail = secret.New("recipient@example.com")
	}
	if o.linkType == invite.ConnectLink {
		v.LinkType = message.LinkConnect
		link, err := pipedream.AppendApp(secret.New("https://pipedream.com/_static/connect.html?token=ctok_"+strings.Repeat("0", 32)+"&connectLink=true"), o.app, o.oauthAppID)
		if err == nil {
			v.URL = link
		}
	}
	if len(d.Project.Pipedream.LinkHosts) > 0 {
		v.ConnectHost = d.Project.Pipedream.LinkHosts[0]
	}
	if d.OneWay && publicURL != "" {
		v.StopURL = secret.New(publicURL + "/s/" + d.Code)
	}
	if zone, err := contact.ParseTimeZone(r.TimeZone); err == nil && r.TimeZone != "" {
		v.Zone, v.ZoneIsRecipients = zone, true
	}
	return v
}
