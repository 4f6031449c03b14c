package publish

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/endpoint"
)

// ConfiguredID is a name of the endpoint of the configuration, beside its id.
const ConfiguredID = "configuration"

// managed is the refusal to change the endpoint of the configuration.
func managed() error {
	return invite.Errorf(invite.CodeManagedByConfiguration, "This endpoint is set in the service's configuration (webhook.url) and is changed there.")
}

// ParseEndpointID reads the id of an endpoint that is to be changed. Errors, as
// *invite.Error: endpoint_not_found, managed_by_configuration.
func ParseEndpointID(s string) (invite.EndpointID, error) {
	if s == ConfiguredID {
		return invite.EndpointID{}, managed()
	}
	id, err := invite.Parse[invite.EndpointID](s)
	if err != nil {
		return id, noEndpoint()
	}
	return id, nil
}

// Resolve reads an id, or ConfiguredID. Errors, as *invite.Error: endpoint_not_found.
func (s *Endpoints) Resolve(ctx context.Context, p access.Principal, text string) (invite.EndpointID, error) {
	if text != ConfiguredID {
		return ParseEndpointID(text)
	}
	r, found, err := endpoint.FindConfigured(ctx, s.p.DB, p.Place)
	if err == nil && (!found || !s.exists(r)) {
		err = noEndpoint()
	}
	return r.ID, err
}

// exists reports whether an endpoint is one of those that callers see. That of a
// configuration that has no webhook any more is not.
func (s *Endpoints) exists(r endpoint.Row) bool {
	if r.ManagedBy != endpoint.ByConfiguration {
		return true
	}
	p, ok := s.p.Project(r.Project)
	return ok && p.Webhook != nil
}

// Configure stores the webhooks of the configuration as endpoints, one for each mode.
// One that was disabled by its failures is enabled, one without a webhook any more is
// disabled. A secret that was replaced signs too for DefaultExpireOld. Of processes with
// different configurations, the one that starts last prevails.
func (s *Endpoints) Configure(ctx context.Context, projects []config.Project) error {
	for _, p := range projects {
		for _, live := range []bool{false, true} {
			err := postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
				return s.configure(ctx, tx, invite.Place{Project: p.ID, Live: live}, p.Webhook)
			})
			if err != nil {
				return fmt.Errorf("configure the webhook of project %s: %w", p.ID, err)
			}
		}
	}
	return nil
}

func (s *Endpoints) configure(ctx context.Context, tx pgx.Tx, place invite.Place, hook *config.Webhook) error {
	if hook == nil {
		r, found, err := endpoint.LockConfigured(ctx, tx, place)
		if err != nil || !found || r.DisabledAt != nil {
			return err
		}
		r.DisabledWhy = endpoint.ByRequest
		_, err = endpoint.Set(ctx, tx, r)
		return err
	}
	fresh := endpoint.Row{Place: place, ID: invite.New[invite.EndpointID](), Types: configuredTypes(hook)}
	content := endpointContent{URL: hook.URL, Secret: hook.Secret.Reveal()}
	var err error
	if fresh.Content, err = s.seal(fresh.ID, content); err != nil {
		return err
	}
	if stored, err := endpoint.InsertConfigured(ctx, tx, fresh); err != nil || stored {
		return err
	}
	r, found, err := endpoint.LockConfigured(ctx, tx, place)
	if err != nil || !found {
		return err
	}
	old, err := s.open(r)
	if err != nil {
		return err
	}
	if old.URL == content.URL && old.Secret == content.Secret && slices.Equal(r.Types, fresh.Types) && r.DisabledAt == nil {
		return nil
	}
	content.OldSecret = old.OldSecret
	if old.Secret != content.Secret {
		until := s.p.Now().Add(DefaultExpireOld)
		content.OldSecret, r.OldSecretUntil = old.Secret, &until
	}
	r.Types, r.DisabledWhy = fresh.Types, ""
	if r.Content, err = s.seal(r.ID, content); err != nil {
		return err
	}
	_, err = endpoint.Set(ctx, tx, r)
	return err
}

// configuredTypes are the types that a webhook of the configuration receives; empty: all.
func configuredTypes(hook *config.Webhook) []invite.PublicType {
	out, names := []invite.PublicType{}, hook.Events
	if names == nil {
		names = config.DefaultEvents()
	}
	for _, name := range names {
		if name == config.AllEvents {
			return []invite.PublicType{}
		}
		out = append(out, invite.PublicType(name))
	}
	return out
}
