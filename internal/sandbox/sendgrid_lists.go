package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// mailFateFor is mailFate with what the scripted addresses remember: how often
// providerdown@ was refused, and whether suppressed@ was lifted from the list.
func (s *Sandbox) mailFateFor(ctx context.Context, c content) (f outcome, refused bool, err error) {
	f = s.fates.mail(c.To)
	switch {
	case f.refusals > 0:
		uses, err := s.useScript(ctx, f.name, c.To, c.Args["cl_invite"])
		return f, uses <= f.refusals, err
	case f.name == "suppressed":
		_, lifted, err := s.findSuppression(ctx, "bounces", c.To)
		if lifted {
			f = s.fates.named(email, "delivered")
		}
		return f, false, err
	}
	return f, false, nil
}

// useScript counts a scripted thing's uses by one address and invite.
func (s *Sandbox) useScript(ctx context.Context, kind string, parts ...string) (uses int, err error) {
	err = s.db.QueryRow(ctx, `INSERT INTO sandbox.scripts AS s (kind, key_hash, uses, since) VALUES ($1, $2, 1, $3)
		ON CONFLICT (kind, key_hash) DO UPDATE SET uses = s.uses + 1 RETURNING uses`,
		kind, s.box.Hash("sandbox.script."+kind, parts...), s.now()).Scan(&uses)
	if err != nil {
		return 0, fmt.Errorf("count script %s: %w", kind, err)
	}
	return uses, nil
}

type suppression struct {
	Reason    string
	Status    string
	CreatedAt time.Time
}

// findSuppression reads a list. lifted says that the address was on it and was
// taken off.
func (s *Sandbox) findSuppression(ctx context.Context, list, address string) (on *suppression, lifted bool, err error) {
	var row suppression
	err = s.db.QueryRow(ctx, `SELECT reason, status, created_at, lifted_at IS NOT NULL FROM sandbox.suppressions
		WHERE list = $1 AND address_hash = ANY($2)`, list, s.box.Hashes(addressHash, fold(address))).
		Scan(&row.Reason, &row.Status, &row.CreatedAt, &lifted)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("read suppressions: %w", err)
	case lifted:
		return nil, true, nil
	}
	return &row, false, nil
}

// serveSuppressions answers GET and DELETE of one address on one list.
func (s *Sandbox) serveSuppressions(w http.ResponseWriter, r *http.Request) {
	list, escaped, _ := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), "/v3/suppression/"), "/")
	address, err := url.PathUnescape(escaped)
	switch list {
	case "bounces", "blocks", "spam_reports", "invalid_emails":
	default:
		err = errors.New("no such list")
	}
	if err != nil || address == "" {
		sendgridRefuse(w, http.StatusNotFound, sendgridFault{Message: "not found"})
		return
	}
	on, lifted, err := s.findSuppression(r.Context(), list, address)
	if err != nil {
		s.ownFault(w, sendgrid, "suppressions", err)
		return
	}
	if on == nil && !lifted && list == "bounces" && s.fates.mail(address).name == "suppressed" {
		on = &suppression{Reason: "550 5.1.1 User unknown", Status: "5.1.1", CreatedAt: s.now().Add(-24 * time.Hour)}
	}
	switch r.Method {
	case http.MethodGet:
		found := []map[string]any{}
		if on != nil {
			found = append(found, map[string]any{"created": on.CreatedAt.Unix(), "email": address, "reason": on.Reason, "status": on.Status})
		}
		writeJSON(w, http.StatusOK, jsonType, found)
	case http.MethodDelete:
		if on == nil {
			sendgridRefuse(w, http.StatusNotFound, sendgridFault{Message: "not found"})
			return
		}
		if err := s.liftSuppression(r.Context(), list, address); err != nil {
			s.ownFault(w, sendgrid, "suppressions", err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		sendgridRefuse(w, http.StatusMethodNotAllowed, sendgridFault{Message: "method not allowed"})
	}
}

// liftSuppression remembers the lift, since suppressed@ is on the list
// without a row.
func (s *Sandbox) liftSuppression(ctx context.Context, list, address string) error {
	if _, err := s.db.Exec(ctx, `INSERT INTO sandbox.suppressions (list, address_hash, reason, status, created_at, lifted_at)
		VALUES ($1, $2, '', '', $3, $3) ON CONFLICT (list, address_hash) DO UPDATE SET lifted_at = EXCLUDED.lifted_at`,
		list, s.box.Hash(addressHash, fold(address)), s.now()); err != nil {
		return fmt.Errorf("lift suppression: %w", err)
	}
	return nil
}
