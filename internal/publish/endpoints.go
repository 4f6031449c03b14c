package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/required"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/store/endpoint"
	"github.com/connectlink/connectlink/internal/wire"
)

// Limits of endpoints.
const (
	// MaxEndpoints bounds the endpoints of a project and mode.
	MaxEndpoints   = 20
	maxURL         = 2000
	maxDescription = 200
	// DefaultExpireOld is how long the secret before signs too after a rotation,
	// MaxExpireOld the longest that can be asked for.
	DefaultExpireOld = 24 * time.Hour
	MaxExpireOld     = 7 * 24 * time.Hour
)

// Endpoint is a webhook endpoint as callers see it.
type Endpoint struct {
	ID          invite.EndpointID
	Live        bool
	URL         string
	Description string
	Types       []invite.PublicType // empty: all
	ManagedBy   string              // endpoint.ByAPI or endpoint.ByConfiguration
	DisabledAt  *time.Time
	DisabledWhy string
	// FailingSince is the first failure since the last success.
	FailingSince   *time.Time
	Secret         secret.Text // only where it was just made
	OldSecretUntil *time.Time
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

// endpointContent is the sealed part of an endpoint.
type endpointContent struct {
	URL         string `json:"url"`
	Description string `json:"description,omitempty"`
	Secret      string `json:"secret"`
	OldSecret   string `json:"old_secret,omitempty"`
}

// EndpointChange is a create, where URL is required, or a change of the members that
// are given.
type EndpointChange struct {
	URL         *string
	Description *string
	Types       *[]string
	Disabled    *bool
}

// EndpointParams are what Endpoints needs.
type EndpointParams struct {
	DB interface {
		postgres.DB
		postgres.Beginner
	}
	Box     *seal.Box
	Project func(id string) (config.Project, bool)
	// Courier posts test events.
	Courier *Courier
	// Lookup resolves names, as net.DefaultResolver.LookupNetIP does.
	Lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)
	// AllowPrivate allows loopback and private addresses for all projects, as for the Courier.
	AllowPrivate bool
	Now          func() time.Time
}

// Endpoints owns webhook endpoints. It is safe for concurrent use.
type Endpoints struct{ p EndpointParams }

// NewEndpoints makes Endpoints. A missing collaborator is an error.
func NewEndpoints(p EndpointParams) (*Endpoints, error) {
	err := required.Check("publish.EndpointParams", map[string]any{
		"DB": p.DB, "Box": p.Box, "Project": p.Project, "Courier": p.Courier, "Lookup": p.Lookup, "Now": p.Now,
	})
	if err != nil {
		return nil, err
	}
	return &Endpoints{p: p}, nil
}

func noEndpoint() error {
	return invite.Errorf(invite.CodeEndpointNotFound, "No webhook endpoint of this key's project and mode has this id.")
}

// List returns the endpoints of a project and mode, that of the configuration first.
func (s *Endpoints) List(ctx context.Context, p access.Principal) ([]Endpoint, error) {
	rows, err := endpoint.List(ctx, s.p.DB, p.Place, MaxEndpoints+1)
	if err != nil {
		return nil, err
	}
	var out []Endpoint
	for _, r := range rows {
		if !s.exists(r) {
			continue
		}
		e, err := s.show(r)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// Get returns one endpoint. Errors, as *invite.Error: endpoint_not_found.
func (s *Endpoints) Get(ctx context.Context, p access.Principal, id invite.EndpointID) (Endpoint, error) {
	r, err := s.get(ctx, p, id)
	if err != nil {
		return Endpoint{}, err
	}
	return s.show(r)
}

func (s *Endpoints) get(ctx context.Context, p access.Principal, id invite.EndpointID) (endpoint.Row, error) {
	r, err := endpoint.Get(ctx, s.p.DB, p.Place, id)
	if errors.Is(err, endpoint.ErrNotFound) || err == nil && !s.exists(r) {
		return r, noEndpoint()
	}
	return r, err
}

// Create stores a new endpoint and returns it with its secret, which is not shown
// again. Errors, as *invite.Error: invalid_request with all faults.
func (s *Endpoints) Create(ctx context.Context, p access.Principal, c EndpointChange) (Endpoint, error) {
	content := endpointContent{Secret: access.NewWebhookSecret().Reveal()}
	r := endpoint.Row{Place: p.Place, ID: invite.New[invite.EndpointID](), Types: []invite.PublicType{}}
	if c.URL == nil {
		c.URL = new(string)
	}
	if err := s.apply(ctx, p, c, &r, &content); err != nil {
		return Endpoint{}, err
	}
	var err error
	if r.Content, err = s.seal(r.ID, content); err != nil {
		return Endpoint{}, err
	}
	var stored bool
	err = postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
		if r, stored, err = endpoint.Insert(ctx, tx, r, MaxEndpoints); err != nil || !stored {
			return err
		}
		return audit(ctx, tx, p, r.ID, "created")
	})
	if err != nil {
		return Endpoint{}, err
	}
	if !stored {
		return Endpoint{}, invite.Errorf(invite.CodeInvalidRequest, "This project and mode has %d webhook endpoints, which is the most. Delete one first.", MaxEndpoints)
	}
	e, err := s.show(r)
	e.Secret = secret.New(content.Secret)
	return e, err
}

// Update changes the given members. Errors, as *invite.Error: endpoint_not_found,
// managed_by_configuration, and invalid_request with all faults.
func (s *Endpoints) Update(ctx context.Context, p access.Principal, id invite.EndpointID, c EndpointChange) (Endpoint, error) {
	if err := s.check(ctx, p, c); err != nil { // names are resolved while no transaction is open
		return Endpoint{}, err
	}
	return s.change(ctx, p, id, c.did(), func(r *endpoint.Row, content *endpointContent) error {
		applyChecked(c, r, content)
		return nil
	})
}

// RotateSecret gives an endpoint a new secret and returns it, for this once. The old
// one signs too for expireOld. Errors, as *invite.Error: endpoint_not_found,
// managed_by_configuration.
func (s *Endpoints) RotateSecret(ctx context.Context, p access.Principal, id invite.EndpointID, expireOld time.Duration) (Endpoint, error) {
	fresh := access.NewWebhookSecret()
	e, err := s.change(ctx, p, id, "rotated the secret", func(r *endpoint.Row, content *endpointContent) error {
		content.OldSecret, content.Secret, r.OldSecretUntil = "", fresh.Reveal(), nil
		if expireOld > 0 {
			old, err := s.open(*r)
			if err != nil {
				return err
			}
			until := s.p.Now().Add(expireOld)
			content.OldSecret, r.OldSecretUntil = old.Secret, &until
		}
		return nil
	})
	e.Secret = fresh
	return e, err
}

// Delete deletes an endpoint with all that waits for it. Errors, as *invite.Error:
// endpoint_not_found, managed_by_configuration.
func (s *Endpoints) Delete(ctx context.Context, p access.Principal, id invite.EndpointID) error {
	r, err := s.get(ctx, p, id)
	if err != nil {
		return err
	}
	if r.ManagedBy == endpoint.ByConfiguration {
		return managed()
	}
	return postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
		found, err := endpoint.Delete(ctx, tx, p.Place, id)
		if err == nil && !found {
			return noEndpoint()
		}
		if err != nil {
			return err
		}
		return audit(ctx, tx, p, id, "deleted")
	})
}

func (s *Endpoints) change(ctx context.Context, p access.Principal, id invite.EndpointID, did string, change func(*endpoint.Row, *endpointContent) error) (e Endpoint, err error) {
	err = postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
		r, err := endpoint.Lock(ctx, tx, p.Place, id)
		if errors.Is(err, endpoint.ErrNotFound) || err == nil && !s.exists(r) {
			return noEndpoint()
		}
		if err != nil {
			return err
		}
		if r.ManagedBy == endpoint.ByConfiguration {
			return managed()
		}
		content, err := s.open(r)
		if err != nil {
			return err
		}
		if err := change(&r, &content); err != nil {
			return err
		}
		if r.Content, err = s.seal(r.ID, content); err != nil {
			return err
		}
		if r, err = endpoint.Set(ctx, tx, r); err != nil {
			return err
		}
		if e, err = s.show(r); err != nil {
			return err
		}
		return audit(ctx, tx, p, id, did)
	})
	return e, err
}

// did names a change for the audit log.
func (c EndpointChange) did() string {
	switch {
	case c.Disabled != nil && *c.Disabled:
		return "disabled"
	case c.Disabled != nil:
		return "enabled"
	}
	return "changed"
}

// audit adds an act about an endpoint to the audit log, in the transaction that does it.
func audit(ctx context.Context, tx pgx.Tx, p access.Principal, id invite.EndpointID, did string) error {
	return account.InsertActs(ctx, tx, account.Entry{By: p, Act: access.ActWebhooks, Target: id.String(), Data: map[string]string{"did": did}})
}

// auditFirst is audit of an act that is no transaction: it is logged before it is done.
func (s *Endpoints) auditFirst(ctx context.Context, p access.Principal, id invite.EndpointID, did string) error {
	return postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error { return audit(ctx, tx, p, id, did) })
}

func (s *Endpoints) apply(ctx context.Context, p access.Principal, c EndpointChange, r *endpoint.Row, content *endpointContent) error {
	if err := s.check(ctx, p, c); err != nil {
		return err
	}
	applyChecked(c, r, content)
	return nil
}

func applyChecked(c EndpointChange, r *endpoint.Row, content *endpointContent) {
	if c.URL != nil {
		content.URL = *c.URL
	}
	if c.Description != nil {
		content.Description = contact.Clean(*c.Description, maxDescription)
	}
	if c.Types != nil {
		r.Types = make([]invite.PublicType, 0, len(*c.Types))
		for _, t := range *c.Types {
			r.Types = append(r.Types, invite.PublicType(t))
		}
	}
	if c.Disabled != nil {
		switch {
		case !*c.Disabled:
			r.DisabledWhy = ""
		case r.DisabledWhy == "":
			r.DisabledWhy = endpoint.ByRequest
		}
	}
}

// check returns all faults of a change.
func (s *Endpoints) check(ctx context.Context, p access.Principal, c EndpointChange) error {
	var faults []invite.Fault
	add := func(pointer string, code invite.Code, format string, args ...any) {
		faults = append(faults, invite.Fault{Pointer: pointer, Code: code, Detail: fmt.Sprintf(format, args...)})
	}
	if c.URL != nil {
		if code, why := s.refuseURL(ctx, p, *c.URL); why != "" {
			add("/url", code, "%s", why)
		}
	}
	if c.Description != nil && utf8.RuneCountInString(*c.Description) > maxDescription {
		add("/description", invite.FaultTooLong, "at most %d characters", maxDescription)
	}
	if c.Types != nil {
		for i, t := range *c.Types {
			if !invite.IsPublic(t) {
				add(fmt.Sprintf("/types/%d", i), invite.FaultInvalid, "is no type of event; the types are in the documentation of GET /v1/events, and an empty list means all")
			}
		}
		if len(*c.Types) > len(invite.PublicTypes()) {
			add("/types", invite.FaultTooLong, "names a type twice")
		}
	}
	if len(faults) > 0 {
		code, message := invite.CodeInvalidRequest, "The request has faults; each is listed with its place."
		if len(faults) == 1 && faults[0].Code == invite.CodeWebhookURLNotAllowed {
			code, message = faults[0].Code, "The URL "+faults[0].Detail+"."
		}
		return &invite.Error{Code: code, Message: message, Faults: faults}
	}
	return nil
}

// refuseURL returns why events are not posted to a URL, by the rule that also applies
// when they are.
func (s *Endpoints) refuseURL(ctx context.Context, p access.Principal, raw string) (invite.Code, string) {
	private := s.allowsPrivate(p.Project)
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return invite.FaultRequired, "is needed: the https address that receives events"
	case len(raw) > maxURL:
		return invite.FaultTooLong, fmt.Sprintf("at most %d bytes", maxURL)
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return invite.FaultInvalid, "must be a whole https address, as https://acme.example/webhooks"
	case u.User != nil:
		return invite.CodeWebhookURLNotAllowed, "must not contain a user name or a password: every post is signed, and the signature authenticates it"
	case u.Fragment != "":
		return invite.FaultInvalid, "must not have a part after #, which is never sent"
	case u.Scheme == "http" && !private:
		return invite.CodeWebhookURLNotAllowed, "must begin with https: http is allowed only where the project's setting webhook.allow_private (CONNECTLINK_WEBHOOK_ALLOW_PRIVATE) is true, for a product in the same network"
	}
	err = Unreachable(ctx, &config.Webhook{URL: raw, AllowPrivate: private}, s.p.Lookup)
	switch {
	case errors.Is(err, wire.ErrPrivateAddress):
		return invite.CodeWebhookURLNotAllowed, "leads to an address that is not public (loopback, private, link-local or another special range). Set the project's webhook.allow_private (CONNECTLINK_WEBHOOK_ALLOW_PRIVATE) to true to allow it"
	case errors.Is(err, ErrNumericHost):
		return invite.CodeWebhookURLNotAllowed, "has a host that ends in a number and is no IPv4 address. Write the address as four decimal numbers without leading zeros, as in 93.184.216.34"
	case errors.Is(err, ErrNoAddress):
		return invite.CodeWebhookURLNotAllowed, "has a host name without an address in DNS. Check the spelling, or create the endpoint once the name exists"
	case err != nil:
		return invite.FaultInvalid, "cannot be read as a URL"
	}
	return "", ""
}

func (s *Endpoints) allowsPrivate(project string) bool {
	p, ok := s.p.Project(project)
	return s.p.AllowPrivate || ok && p.PrivateWebhooks
}

func (s *Endpoints) show(r endpoint.Row) (Endpoint, error) {
	content, err := s.open(r)
	if err != nil {
		return Endpoint{}, err
	}
	e := Endpoint{
		ID: r.ID, Live: r.Live, URL: content.URL, Description: content.Description, Types: r.Types, ManagedBy: r.ManagedBy,
		DisabledAt: r.DisabledAt, DisabledWhy: r.DisabledWhy, FailingSince: r.FailingSince, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
	if r.OldSecretUntil != nil && r.OldSecretUntil.After(s.p.Now()) {
		e.OldSecretUntil = r.OldSecretUntil
	}
	return e, nil
}

func (s *Endpoints) open(r endpoint.Row) (endpointContent, error) { return openEndpoint(s.p.Box, r) }

func openEndpoint(box *seal.Box, r endpoint.Row) (c endpointContent, err error) {
	raw, err := box.Open(r.Content, sealedEndpoint(r.ID))
	if err == nil {
		err = json.Unmarshal(raw, &c)
	}
	if err != nil {
		return c, fmt.Errorf("open webhook endpoint %s: %w", r.ID, err)
	}
	return c, nil
}

func (s *Endpoints) seal(id invite.EndpointID, c endpointContent) ([]byte, error) {
	raw, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode webhook endpoint %s: %w", id, err)
	}
	return s.p.Box.Seal(raw, sealedEndpoint(id))
}

func sealedEndpoint(id invite.EndpointID) seal.AD {
	return seal.AD{Column: "webhook_endpoints.content", ID: id.UUID()}
}

// secrets are those that sign at a time, the current one first.
func (c endpointContent) secrets(r endpoint.Row, now time.Time) []string {
	if c.OldSecret != "" && r.OldSecretUntil != nil && r.OldSecretUntil.After(now) {
		return []string{c.Secret, c.OldSecret}
	}
	return []string{c.Secret}
}

// hostOf is the part of a URL that is fit for a log line.
func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Host)
}
