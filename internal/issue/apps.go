package issue

import (
	"context"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
)

// Apps are the apps that fit words, for whoever is to choose one; without words
// the ones most used at Pipedream. Errors: unavailable, as *invite.Error, and
// what Pipedream's failure was.
func (s *Service) Apps(ctx context.Context, p access.Principal, words string) ([]invite.App, error) {
	m, err := s.minter(p)
	if err != nil {
		return nil, err
	}
	return m.Apps(ctx, words)
}
