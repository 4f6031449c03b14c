package mint

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
)

const (
	listFor  = 10 * time.Minute
	maxLists = 256
	perList  = 100 // Pipedream has thousands of apps; a person looks at a few
)

// list is an answer to a search for apps.
type list struct {
	apps  []invite.App
	until time.Time
}

// Apps returns the apps that match words, or the most used ones if words is
// empty, for a person to choose from. Apps that need no account are left out. It
// returns when ctx ends; a later result is cached for the next caller. Cached
// apps are returned during an outage.
func (m *Minter) Apps(ctx context.Context, words string) ([]invite.App, error) {
	c := m.catalog
	words = strings.ToLower(strings.TrimSpace(words))
	c.mu.Lock()
	l, ok := c.lists[words]
	c.mu.Unlock()
	if ok && c.now().Before(l.until) {
		return l.apps, nil
	}
	got := c.flight.DoChan("apps "+words, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
		defer cancel()
		return c.search(ctx, words)
	})
	select {
	case r := <-got:
		if r.Err == nil {
			return r.Val.([]invite.App), nil //nolint:forcetypeassert // the flight's own
		}
		if ok {
			return l.apps, nil
		}
		return nil, fmt.Errorf("list apps: %w", r.Err)
	case <-ctx.Done():
		if ok {
			return l.apps, nil
		}
		return nil, ctx.Err()
	}
}

func (c *catalog) search(ctx context.Context, words string) ([]invite.App, error) {
	found, err := c.client.Apps(ctx, words, perList)
	if err != nil {
		return nil, err
	}
	apps := make([]invite.App, 0, len(found))
	for _, a := range found {
		if a.AuthType != "none" {
			apps = append(apps, invite.App{Slug: a.Slug, Name: a.Name, LogoURL: a.LogoURL, AuthType: a.AuthType})
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.lists) >= maxLists {
		clear(c.lists) // words are typed by people: memory stays bounded for any input
	}
	c.lists[words] = list{apps, c.now().Add(listFor)}
	return apps, nil
}
