package app

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/publish"
	"github.com/connectlink/connectlink/internal/wire"
)

// Warnings lists settings that work and should be changed, one sentence each,
// beginning with the setting's name: those of the configuration, and those of
// its database.
func Warnings(cfg *config.Config) []string {
	out := cfg.Warnings()
	type named struct{ name, url string }
	urls := []named{{"CONNECTLINK_DATABASE_URL", cfg.DatabaseURL.Reveal()}}
	if cfg.BehindPooler() {
		urls = append(urls, named{"CONNECTLINK_DATABASE_DIRECT_URL", cfg.DatabaseDirectURL.Reveal()})
	}
	if !cfg.DatabaseReadURL.IsZero() {
		urls = append(urls, named{"CONNECTLINK_DATABASE_READ_URL", cfg.DatabaseReadURL.Reveal()})
	}
	for _, u := range urls {
		if hosts := postgres.InClear(u.url); len(hosts) > 0 {
			out = append(out, fmt.Sprintf("%s: goes to %s without TLS, or falls back to that: add sslmode=verify-full, or sslmode=require at least", u.name, strings.Join(hosts, ", ")))
		}
	}
	return out
}

// Lookup resolves a name, as net.DefaultResolver.LookupNetIP does.
type Lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)

// WebhookFault returns why `serve` would not deliver a project's events, by
// the rule of the dial; nil if it would, or has none to deliver. Without
// lookup names are not resolved.
func WebhookFault(ctx context.Context, p config.Project, lookup Lookup) error {
	err := publish.Unreachable(ctx, p.Webhook, lookup)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, wire.ErrPrivateAddress):
		err = fmt.Errorf("%w: `connectlink serve` delivers no events there, unless %s is true", err, p.SettingName("webhook.allow_private"))
	}
	return fmt.Errorf("%s: %w", p.SettingName("webhook.url"), err)
}
