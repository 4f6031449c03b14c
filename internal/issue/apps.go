package issue

import (
	"cmp"
	"context"
	"errors"
	"slices"

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
	apps, err := m.Apps(ctx, words)
	if err != nil {
		return nil, &invite.Error{Code: invite.CodeUnavailable, Message: "Pipedream's list of apps cannot be read right now. Try again later.", Err: err}
	}
	return apps, nil
}

// SearchApps is Apps with the best matches first: the app with that slug or name,
// then those that begin so. Where nothing matches, suggestion is the slug that was
// probably meant, if one is near.
func (s *Service) SearchApps(ctx context.Context, p access.Principal, words string) (apps []invite.App, suggestion string, err error) {
	apps, err = s.Apps(ctx, p, words)
	if err != nil || words == "" {
		return apps, "", err
	}
	if len(apps) == 0 {
		m, err := s.minter(p)
		if err != nil {
			return nil, "", err
		}
		return nil, m.Nearest(ctx, words), nil
	}
	apps = slices.Clone(apps) // the cache keeps its own
	slices.SortStableFunc(apps, func(a, b invite.App) int { return cmp.Compare(mint.MatchApp(a, words), mint.MatchApp(b, words)) })
	return apps, "", nil
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
