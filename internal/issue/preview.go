package issue

import (
	"context"
	"errors"
	"strings"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/compose"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/pipedream"
	"github.com/connectlink/connectlink/internal/quota"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// Preview is what an invite would look like in one language.
type Preview struct {
	message.Inspection
	Pages []compose.PreviewPage
	// Changed lists the texts that recipients read differently from the request;
	// it is the same in every language.
	Changed []Warning
}

// Values for the language of a preview that are no languages.
const (
	everyLanguage = "all"
	noLanguage    = "none" // the request is validated, and no text is put together
)

// Preview returns the messages and pages of a Create, in the recipient's
// language, in a given one, in every one ("all"), or in none of them ("none": the
// request is only validated). Nothing is stored, minted or sent, and suppressions are
// not checked. A sending limit or a pause that would refuse the invite now is a warning. Errors are as Create's for faults
// of the request, and invalid_request for a language without messages.
func (s *Service) Preview(ctx context.Context, p access.Principal, req CreateRequest, lang string) ([]Preview, error) {
	project, o, err := s.readDraft(ctx, p, req)
	if err != nil {
		return nil, err
	}
	langs, err := wanted(s.p.Composer.Messages(p.Place), lang, o.content.Recipient.Locale)
	if err != nil {
		return nil, err
	}
	m, err := s.draft(ctx, p, project, o)
	if err != nil || len(langs) == 0 {
		return nil, err
	}
	warnings := changed(req, o)
	var limited *invite.Error
	if uses := s.uses(p, o.channel, o.content.Recipient, o.externalUserID); len(uses) > 0 {
		err := quota.Translate(ledger.CheckUses(ctx, s.p.DB, uses))
		if err != nil && !errors.As(err, &limited) {
			return nil, err
		}
	}
	out := make([]Preview, 0, len(langs))
	for _, l := range langs {
		m.Content.Recipient.Locale = l
		seen, err := s.p.Composer.Inspect(withEmail(m))
		if err != nil {
			return nil, err
		}
		if len(warnings) > 0 {
			seen.Warnings = append(seen.Warnings, message.Warning{
				Code: message.WarnText, Detail: "links, control characters or what was too long are taken out of " + strings.Join(pointers(warnings), ", "),
			})
		}
		if limited != nil {
			seen.Warnings = append(seen.Warnings, message.Warning{Code: message.WarnLimit, Detail: "it would be refused now: " + limited.Message})
		}
		if w, ok := s.pauseWarning(p, o.channel, o.content.Recipient); ok {
			seen.Warnings = append(seen.Warnings, w)
		}
		pages, err := s.p.Composer.PreviewPages(previewPage(m, o), l)
		if err != nil {
			return nil, err
		}
		out = append(out, Preview{Inspection: seen, Pages: pages, Changed: warnings})
	}
	return out, nil
}

// Draft returns the first message of a Create in the recipient's language, to be rendered;
// its link opens nothing. Nothing is stored, minted or sent. Errors are as Preview's.
func (s *Service) Draft(ctx context.Context, p access.Principal, req CreateRequest) (compose.Message, error) {
	project, o, err := s.readDraft(ctx, p, req)
	if err != nil {
		return compose.Message{}, err
	}
	return s.draft(ctx, p, project, o)
}

// readDraft validates a request that is not to be created.
func (s *Service) readDraft(ctx context.Context, p access.Principal, req CreateRequest) (config.Project, order, error) {
	project, err := s.project(p)
	if err != nil {
		return project, order{}, err
	}
	o, err := validate(req, p, project, s.p.PublicURL, s.p.Now())
	if err != nil {
		return project, order{}, s.withNearestApp(ctx, p, req.App, err)
	}
	if s.p.Composer == nil {
		return project, order{}, invite.Errorf(invite.CodeUnavailable, "This process renders no messages.")
	}
	return project, o, nil
}

// wanted resolves the language a preview is asked for in.
func wanted(texts *message.Renderer, lang, locale string) ([]string, error) {
	switch {
	case lang == noLanguage:
		return nil, nil
	case lang == "":
		return []string{texts.Match(locale)}, nil
	case lang == everyLanguage:
		return texts.Languages(), nil
	}
	got := texts.Match(lang)
	base, _, _ := strings.Cut(strings.ReplaceAll(lang, "_", "-"), "-")
	if of, _, _ := strings.Cut(got, "-"); !strings.EqualFold(of, base) {
		var f faults
		f.add("/language", invite.FaultInvalid, "must be one of %s, or all", strings.Join(texts.Languages(), ", "))
		return nil, f.err()
	}
	return []string{got}, nil
}

// draft is the first message of an invite that is not created, as dispatch would
// compose it.
func (s *Service) draft(ctx context.Context, p access.Principal, project config.Project, o order) (compose.Message, error) {
	app := invite.App{Slug: o.app, Name: o.app}
	if m, ok := s.p.Minters(p.Place, p.Environment); ok {
		var err error
		if app, err = s.app(ctx, m, o.app); err != nil {
			return compose.Message{}, err
		}
	}
	now := s.p.Now()
	life := o.expiresIn
	if o.validFor > 0 {
		life = o.validFor
	}
	return compose.Message{
		Invite: compose.Invite{
			Project: project, Livemode: p.Live, App: app, InitiatedBy: o.initiatedBy, LinkType: o.linkType, IsReconnect: o.kind == invite.PurposeReconnect, Content: o.content,
			Code: secret.New(compose.PreviewCode), ConnectLink: compose.PreviewLink(pipedream.Completion{App: o.app, OAuthAppID: o.oauthAppID, AccountID: o.account}), ExpiresAt: now.Add(life), Now: now,
			Reference: compose.PreviewReference,
		},
		Kind: invite.KindFirst, OneWay: s.p.OneWay(p.Place),
	}, nil
}

// withEmail gives a recipient without an email address one to render the email with.
func withEmail(m compose.Message) compose.Message {
	if m.Content.Recipient.Email == "" {
		m.Content.Recipient.Email = "recipient@example.com"
	}
	return m
}

// previewPage is the page of the same invite.
func previewPage(m compose.Message, o order) compose.Page {
	p := compose.Page{Invite: m.Invite, OneWay: m.OneWay, AsksCode: o.verify == invite.VerifyCode}
	if o.channel != invite.LinkOnly {
		p.Via = o.channel
	}
	return p
}
