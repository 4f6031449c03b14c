// Package grant owns who may act: it authenticates API keys and makes, lists
// and revokes them; it signs staff in, keeps their sessions, and administers
// their accounts.
//
// A key is shown once, when it is made; afterwards only its digest exists.
//
// # Sessions
//
// A session is one row, found by the digest of its cookie's token in one
// statement together with its account: so a removed role, a disabled account and
// an ended session count from the next request on, and only the database's clock
// decides about idle and maximum time. (A session library would keep a blob that
// must be decoded to be listed or ended, and would compare the times of two
// clocks.) Every sign-in makes a new token.
//
// It speaks to no issuer: package oidc does.
package grant

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/singleflight"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/account"
)

const (
	// remembered is how long a key is believed without looking again: the
	// longest that a revoked key goes on working.
	remembered = 5 * time.Second
	// maxRemembered bounds memory against a flood of made-up keys.
	maxRemembered = 10_000
)

// Service authenticates and administers keys.
type Service struct {
	db      *pgxpool.Pool
	now     func() time.Time
	flights singleflight.Group
	mu      sync.Mutex
	cache   map[[32]byte]entry
	keys    map[invite.KeyID]time.Time // until when a key is believed to work, for client tokens
}

type entry struct {
	principal access.Principal
	until     time.Time
}

// New makes a Service.
func New(db *pgxpool.Pool, now func() time.Time) *Service {
	return &Service{db: db, now: now, cache: make(map[[32]byte]entry), keys: make(map[invite.KeyID]time.Time)}
}

// Authenticate returns the principal of a key. Errors, as *invite.Error:
// authentication_required without a key, invalid_api_key for one that is
// unknown, mistyped, expired or revoked. From is the client's address; its network is
// stored as that of the key's last use.
func (s *Service) Authenticate(ctx context.Context, key secret.Text, from netip.Addr) (access.Principal, error) {
	if key.IsZero() {
		return access.Principal{}, invite.Errorf(invite.CodeAuthenticationRequired, "Send an API key: Authorization: Bearer cl_….")
	}
	parsed, err := access.ParseKey(key)
	switch {
	case errors.Is(err, access.ErrMistyped):
		return access.Principal{}, invite.Errorf(invite.CodeInvalidAPIKey, "The API key is mistyped or incomplete.")
	case err != nil:
		return access.Principal{}, invite.Errorf(invite.CodeInvalidAPIKey, "This is not an API key of this service.")
	}
	digest := [32]byte(parsed.Digest)
	if p, ok := s.recall(digest); ok {
		return p, nil
	}
	// A burst of requests with one key looks it up once; the look-up outlives
	// the caller that happened to start it.
	v, err, _ := s.flights.Do(string(parsed.Digest), func() (any, error) {
		return s.lookUp(context.WithoutCancel(ctx), digest, access.Network(from))
	})
	if err != nil {
		return access.Principal{}, err
	}
	return v.(access.Principal), nil
}

func (s *Service) lookUp(ctx context.Context, digest [32]byte, network string) (access.Principal, error) {
	k, found, err := account.FindKey(ctx, s.db, digest[:])
	if err != nil {
		return access.Principal{}, err
	}
	if !found || !k.Usable {
		return access.Principal{}, invite.Errorf(invite.CodeInvalidAPIKey, "This API key is unknown, expired or revoked.")
	}
	p := keyPrincipal(k)
	s.remember(digest, p)
	return p, account.SetKeysUsed(ctx, s.db, []invite.KeyID{k.ID}, network)
}

func keyPrincipal(k account.Key) access.Principal {
	p := access.Principal{
		Kind: access.KindKey, ID: k.ID.String(), Place: k.Place, Environment: k.Environment,
	}
	for _, s := range k.Scopes {
		p.Scopes = append(p.Scopes, access.Scope(s))
	}
	return p
}

func (s *Service) recall(digest [32]byte) (access.Principal, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.cache[digest]
	if !ok || s.now().After(e.until) {
		return access.Principal{}, false
	}
	return e.principal, true
}

func (s *Service) remember(digest [32]byte, p access.Principal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.cache) >= maxRemembered {
		clear(s.cache)
	}
	s.cache[digest] = entry{p, s.now().Add(remembered)}
}

// NewKey are the properties of a new key.
type NewKey struct {
	invite.Place

	Name        string
	Environment string // Pipedream's; "development" or "production"
	Scopes      []access.Scope
	ExpiresAt   *time.Time
	By          access.Principal // who makes it; zero: the operator, on the command line
}

// Create makes a key. The key itself is returned here and never again.
func (s *Service) Create(ctx context.Context, n NewKey) (secret.Text, account.Key, error) {
	key, hint := access.NewKey(n.Live)
	parsed, err := access.ParseKey(key)
	if err != nil {
		return secret.Text{}, account.Key{}, fmt.Errorf("create key: %w", err)
	}
	k := account.Key{
		ID: invite.New[invite.KeyID](), Place: n.Place, Name: n.Name, Hint: hint,
		Environment: n.Environment, Scopes: []string{}, ExpiresAt: n.ExpiresAt, Usable: true,
	}
	for _, scope := range n.Scopes {
		k.Scopes = append(k.Scopes, string(scope))
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		return insertKey(ctx, tx, operatorPrincipal(n.By, n.Place), k, parsed.Digest)
	})
	if err != nil {
		return secret.Text{}, account.Key{}, err
	}
	return key, k, nil
}

// insertKey stores a new key with its entry in the audit log.
func insertKey(ctx context.Context, tx pgx.Tx, by access.Principal, k account.Key, digest []byte) error {
	if err := account.InsertKey(ctx, tx, k, digest); err != nil {
		return err
	}
	data := map[string]string{"scopes": strings.Join(k.Scopes, " ")}
	if k.Replaces != nil {
		data["replaces"] = k.Replaces.String()
	}
	return account.InsertAudit(ctx, tx, account.Entry{By: by, Act: ActKeyCreated, Target: k.ID.String(), Data: data})
}

// operatorPrincipal is the principal of acts on the command line, unless another
// one is given.
func operatorPrincipal(by access.Principal, place invite.Place) access.Principal {
	if by.Kind == "" {
		return access.System(place)
	}
	return by
}

// List returns the keys of a project, or of all when project is empty.
func (s *Service) List(ctx context.Context, project string) ([]account.Key, error) {
	return account.ListKeys(ctx, s.db, project)
}

// Revoke ends a key of any project, for the operator; processes that remember
// it stop within five seconds. Errors: account.ErrNotFound.
func (s *Service) Revoke(ctx context.Context, id invite.KeyID) (changed bool, err error) {
	return s.revoke(ctx, access.Principal{}, id)
}

// RevokeBy ends a key of the principal's project and mode. Errors:
// account.ErrNotFound.
func (s *Service) RevokeBy(ctx context.Context, by access.Principal, id invite.KeyID) (changed bool, err error) {
	return s.revoke(ctx, by, id)
}

func (s *Service) revoke(ctx context.Context, by access.Principal, id invite.KeyID) (changed bool, err error) {
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		k, err := account.GetKey(ctx, tx, id)
		if err != nil {
			return err
		}
		if by.Kind != "" && k.Place != by.Place {
			return fmt.Errorf("revoke key %s: %w", id, account.ErrNotFound)
		}
		if changed, err = account.SetKeyRevoked(ctx, tx, id); err != nil || !changed {
			return err
		}
		return account.InsertAudit(ctx, tx, account.Entry{By: operatorPrincipal(by, k.Place), Act: ActKeyRevoked, Target: id.String()})
	})
	if changed && err == nil {
		s.mu.Lock()
		clear(s.cache)
		clear(s.keys)
		s.mu.Unlock()
	}
	return changed, err
}
