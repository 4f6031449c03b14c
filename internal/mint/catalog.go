package mint

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/pipedream"
)

// How long what Pipedream says of an app is believed. Names and logos hardly
// change; a slug that is unknown today may be added tomorrow.
const (
	freshFor   = time.Hour
	unknownFor = time.Minute
	maxApps    = 4096
)

// catalog remembers apps, so that a create costs one call to Pipedream, the mint.
type catalog struct {
	client *pipedream.Client
	now    func() time.Time
	used   func(logoURL string) // may be nil
	flight singleflight.Group
	mu     sync.Mutex
	apps   map[string]known
	lists  map[string]list // by the words searched for
}

type known struct {
	app   invite.App
	err   error
	until time.Time
}

func newCatalog(c *pipedream.Client, now func() time.Time, used func(string)) *catalog {
	return &catalog{client: c, now: now, used: used, apps: make(map[string]known), lists: make(map[string]list)}
}

// App returns what Pipedream says of an app. An outage never blocks: then a name
// made of the slug stands in, and the kind of login is empty. Errors: *invite.Error with CodeUnknownApp or
// CodeAppNeedsNoAccount.
func (m *Minter) App(ctx context.Context, slug string) (invite.App, error) {
	c := m.catalog
	c.mu.Lock()
	k, ok := c.apps[slug]
	c.mu.Unlock()
	if ok && c.now().Before(k.until) {
		return k.app, k.err
	}
	// The flight outlives the caller that started it, so that one caller's
	// hanging up does not fail the others.
	v, _, _ := c.flight.Do(slug, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
		defer cancel()
		return c.fetch(ctx, slug, k), nil
	})
	k = v.(known)
	return k.app, k.err
}

// titleOf makes a name of a slug: "google_drive" is Google Drive.
func titleOf(slug string) string {
	words := strings.FieldsFunc(slug, func(r rune) bool { return r == '_' || r == '-' })
	for i, w := range words {
		words[i] = strings.ToUpper(w[:1]) + w[1:]
	}
	if len(words) == 0 {
		return slug
	}
	return strings.Join(words, " ")
}

func (c *catalog) fetch(ctx context.Context, slug string, stale known) known {
	app, err := c.client.App(ctx, slug)
	k := known{until: c.now().Add(freshFor)}
	switch {
	case err == nil && app.AuthType == "none":
		k.err = invite.Errorf(invite.CodeAppNeedsNoAccount, "The app %q works without an account: there is nothing to connect.", slug)
	case err == nil:
		k.app = invite.App{Slug: slug, Name: app.Name, LogoURL: app.LogoURL, AuthType: app.AuthType}
		if c.used != nil && app.LogoURL != "" {
			c.used(app.LogoURL)
		}
	case errors.Is(err, pipedream.ErrNotFound):
		k.err = invite.Errorf(invite.CodeUnknownApp, "Pipedream has no app with the slug %q.", slug)
		k.until = c.now().Add(unknownFor)
	case !stale.until.IsZero():
		return stale
	default:
		// Not remembered: the next caller asks again.
		return known{app: invite.App{Slug: slug, Name: titleOf(slug)}}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.apps) >= maxApps {
		clear(c.apps) // slugs come from callers: memory stays bounded for any input
	}
	c.apps[slug] = k
	return k
}

// CheckOAuthApp refuses an OAuth client that Pipedream says does not exist, or
// that belongs to another app. Where it cannot be asked, nothing is refused:
// Pipedream's own page checks again.
func (m *Minter) CheckOAuthApp(ctx context.Context, id, slug string) error {
	if id == "" {
		return nil
	}
	key := "oauth\x00" + id
	c := m.catalog
	c.mu.Lock()
	k, ok := c.apps[key]
	c.mu.Unlock()
	if !ok || !c.now().Before(k.until) {
		v, _, _ := c.flight.Do(key, func() (any, error) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
			defer cancel()
			return c.fetchOAuthApp(ctx, id, key), nil
		})
		k = v.(known)
	}
	if k.err != nil {
		return k.err
	}
	if k.app.Slug != "" && k.app.Slug != slug {
		return badOAuthApp(invite.FaultInvalid, "this OAuth client belongs to another app")
	}
	return nil
}

func (c *catalog) fetchOAuthApp(ctx context.Context, id, key string) known {
	app, err := c.client.OAuthApp(ctx, id)
	k := known{until: c.now().Add(unknownFor)}
	switch {
	case err == nil:
		k.app.Slug = app.AppSlug
		k.until = c.now().Add(freshFor)
	case errors.Is(err, pipedream.ErrNotFound):
		k.err = badOAuthApp(invite.FaultInvalid, "Pipedream knows no OAuth client with this id in this project and its workspace")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.apps) >= maxApps {
		clear(c.apps)
	}
	c.apps[key] = k
	return k
}

func badOAuthApp(code invite.Code, detail string) error {
	return &invite.Error{
		Code: invite.CodeInvalidRequest, Message: "The request has faults; each is listed with its place.",
		Faults: []invite.Fault{{Pointer: "/oauth_app_id", Code: code, Detail: detail}},
	}
}
