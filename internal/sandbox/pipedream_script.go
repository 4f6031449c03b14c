package sandbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// MintScript is what minting does for one external user instead of succeeding.
type MintScript string

const (
	// MintFails refuses the next mint for good (403).
	MintFails MintScript = "mintfail"
	// MintSlow answers 503 for five paces from the first mint on.
	MintSlow MintScript = "mintslow"
	// MintShort gives the next token a life of five paces.
	MintShort MintScript = "mintshort"
)

// ScriptMint makes the next mint for an external user take another course.
// The vendor never learns the recipient's address, so the scripts that
// belong to addresses (mintfail@, mintslow@, +expire, +renew: see
// [MintScriptFor]) are registered here by the wiring of test mode.
func (s *Sandbox) ScriptMint(ctx context.Context, externalUserID string, script MintScript) error {
	switch script {
	case MintFails, MintSlow, MintShort:
	default:
		return fmt.Errorf("sandbox: no mint script %q", script)
	}
	if _, err := s.db.Exec(ctx, `INSERT INTO sandbox.scripts (kind, key_hash, uses, since) VALUES ($1, $2, 0, $3)
		ON CONFLICT (kind, key_hash) DO UPDATE SET uses = 0, since = EXCLUDED.since`,
		string(script), s.box.Hash(mintScriptHash, externalUserID), s.now()); err != nil {
		return fmt.Errorf("script mint: %w", err)
	}
	return nil
}

const mintScriptHash = "sandbox.mint"

// MintScriptFor names the script a test recipient's address asks of minting,
// "" for none.
func MintScriptFor(address string) MintScript {
	name, words, ok := scriptedLocal(address)
	switch {
	case !ok:
		return ""
	case name == string(MintFails) || name == string(MintSlow):
		return MintScript(name)
	}
	for _, w := range words {
		if w == "expire" || w == "renew" {
			return MintShort
		}
	}
	return ""
}

// mintScript returns the script of this mint. A registered script is used up
// by it, except MintSlow, which ends by time; user ids that contain "mintfail"
// or "mintslow" need no registration.
func (s *Sandbox) mintScript(ctx context.Context, externalUserID string) (MintScript, error) {
	if strings.Contains(externalUserID, string(MintFails)) {
		return MintFails, nil
	}
	if strings.Contains(externalUserID, string(MintSlow)) {
		var since time.Time
		var uses int
		if err := s.db.QueryRow(ctx, `INSERT INTO sandbox.scripts AS s (kind, key_hash, uses, since) VALUES ($1, $2, 1, $3)
			ON CONFLICT (kind, key_hash) DO UPDATE SET uses = s.uses + 1 RETURNING since, uses`,
			"mintslow_id", s.box.Hash(mintScriptHash, externalUserID), s.now()).Scan(&since, &uses); err != nil {
			return "", fmt.Errorf("read mint script: %w", err)
		}
		if uses == 1 || s.now().Sub(since) < s.paces(5) { // the first mint meets it, however slow the database is
			return MintSlow, nil
		}
		return "", nil
	}
	// One round trip for the ordinary case of none. A one-time script is
	// deleted by the mint it meets; MintSlow stays, and is over with its time.
	var kind string
	var since time.Time
	err := s.db.QueryRow(ctx, `WITH hit AS (SELECT kind, key_hash, since FROM sandbox.scripts
			WHERE kind = ANY($1) AND key_hash = ANY($2)
			  AND (kind <> $3 OR since > $4) ORDER BY since LIMIT 1),
		gone AS (DELETE FROM sandbox.scripts s USING hit WHERE s.kind = hit.kind AND s.key_hash = hit.key_hash AND hit.kind <> $3)
		SELECT kind, since FROM hit`,
		[]string{string(MintFails), string(MintSlow), string(MintShort)}, s.box.Hashes(mintScriptHash, externalUserID),
		string(MintSlow), s.now().Add(-s.paces(5))).Scan(&kind, &since)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read mint script: %w", err)
	}
	return MintScript(kind), nil
}
