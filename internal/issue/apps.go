package issue

import (
	"context"
	"errors"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/mint"
)

// Apps returns the apps that match words, for a person to choose from; without
// words the most used ones at Pipedream. Errors: unavailable, as *invite.Error,
// with Pipedream's failure.
func (s *Service) Apps(ctx context.Context, p access.Principal, words string) ([]invite.App, error) {
	m, err := s.minter(p)
	if err != nil {
		return nil, err
	}
	return m.Apps(ctx, words)
}

// app looks an app up. Errors: unknown_app with a suggestion where one comes near,
// app_needs_no_account.
func (s *Service) app(ctx context.Context, m *mint.Minter, slug string) (invite.App, error) {
	app, err := m.App(ctx, slug)
	if invite.CodeOf(err) != invite.CodeUnknownApp {
		return app, err
	}
	refused := invite.Errorf(invite.CodeUnknownApp, "Pipedream has no app with the slug %q.", slug)
	refused.Faults = []invite.Fault{{Pointer: "/app", Code: invite.CodeUnknownApp, Detail: "Pipedream has no app with this slug"}}
	suggestApp(ctx, m, slug, &refused.Faults[0])
	if meant := refused.Faults[0].Suggestion; meant != "" {
		refused.Message += " Did you mean " + meant + "?"
	}
	return app, refused
}

// withNearestApp adds to a refused slug the one that was probably meant.
func (s *Service) withNearestApp(ctx context.Context, p access.Principal, slug string, err error) error {
	var refused *invite.Error
	if !errors.As(err, &refused) {
		return err
	}
	for i := range refused.Faults {
		if f := &refused.Faults[i]; f.Pointer == "/app" && f.Code == invite.FaultInvalid {
			if m, mErr := s.minter(p); mErr == nil {
				suggestApp(ctx, m, slug, f)
			}
		}
	}
	return err
}

func suggestApp(ctx context.Context, m *mint.Minter, slug string, f *invite.Fault) {
	if f.Suggestion = m.Nearest(ctx, slug); f.Suggestion != "" {
		f.Detail += "; did you mean " + f.Suggestion + "?"
	}
}
