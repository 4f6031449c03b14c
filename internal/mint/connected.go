package mint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/connectlink/connectlink/internal/pipedream"
)

const (
	// connectedWithin bounds how long a create waits for the accounts of its user.
	connectedWithin = 2 * time.Second
	// connectedPages of connectedPage accounts are looked at: one user has few of
	// one app.
	connectedPages = 3
	connectedPage  = 100
)

// Connected returns the accounts of one user and app that are connected at
// Pipedream and work there, the newest first; oauthAppID may be empty. It ends
// after connectedWithin, and at once while Pipedream's circuit breaker is open.
func (m *Minter) Connected(ctx context.Context, externalUserID, app, oauthAppID string) ([]pipedream.Account, error) {
	ctx, cancel := context.WithTimeout(ctx, connectedWithin)
	defer cancel()
	filter := pipedream.AccountFilter{ExternalUserID: externalUserID, App: app, OAuthAppID: oauthAppID, Limit: connectedPage}
	var out []pipedream.Account
	for range connectedPages {
		page, next, err := m.p.Client.Accounts(ctx, filter)
		if err != nil {
			return nil, fmt.Errorf("list connected accounts: %w", err)
		}
		for _, a := range page {
			// The filter is Pipedream's; that it was applied is checked here.
			if a.Healthy && a.ExternalID == externalUserID && (a.AppSlug == "" || a.AppSlug == app) {
				out = append(out, a)
			}
		}
		if next == "" {
			break
		}
		filter.After = next
	}
	slices.SortStableFunc(out, func(a, b pipedream.Account) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return out, nil
}

// ErrNoAccount: Pipedream has no such account of the user and app.
var ErrNoAccount = errors.New("no such connected account")

// Account returns the id of the account to reconnect for one user and app: id, if
// that is one of theirs in any condition, or the newest one where id is empty. It
// ends after connectedWithin. Errors: ErrNoAccount, and those of Pipedream.
func (m *Minter) Account(ctx context.Context, externalUserID, app, id string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, connectedWithin)
	defer cancel()
	if id != "" {
		a, err := m.p.Client.Account(ctx, id)
		if errors.Is(err, pipedream.ErrNotFound) || err == nil && (a.ExternalID != externalUserID || a.AppSlug != "" && a.AppSlug != app) {
			return "", ErrNoAccount
		}
		if err != nil {
			return "", fmt.Errorf("get connected account: %w", err)
		}
		return a.ID, nil
	}
	page, _, err := m.p.Client.Accounts(ctx, pipedream.AccountFilter{ExternalUserID: externalUserID, App: app, Limit: connectedPage})
	if err != nil {
		return "", fmt.Errorf("list connected accounts: %w", err)
	}
	var newest pipedream.Account
	for _, a := range page {
		if a.ExternalID == externalUserID && (a.AppSlug == "" || a.AppSlug == app) && (newest.ID == "" || a.CreatedAt.After(newest.CreatedAt)) {
			newest = a
		}
	}
	if newest.ID == "" {
		return "", ErrNoAccount
	}
	return newest.ID, nil
}
