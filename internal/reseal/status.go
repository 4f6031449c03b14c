package reseal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/keyring"
)

func decodeContent(opened []byte) (invite.Content, error) {
	var c invite.Content
	if opened == nil {
		return c, errors.New("an invite has no content")
	}
	return c, json.Unmarshal(opened, &c)
}

// Standing are the values of a column under one key.
type Standing struct {
	Column string // "public.invites.content"
	Half   keyring.Half
	Key    uint32
	N      int64
	// Waits tells what ends values that cannot be renewed; empty: `keyset reseal` renews
	// them.
	Waits string
}

// ListStanding counts all values by column and key. It reads every table that has such
// columns, which takes minutes in a large database.
func ListStanding(ctx context.Context, db postgres.DB) ([]Standing, error) {
	var out []Standing
	for _, c := range allCounted() {
		by, err := keyring.CountByKey(ctx, db, c.table, c.column)
		if err != nil {
			return nil, err
		}
		for _, key := range slices.Sorted(maps.Keys(by)) {
			out = append(out, Standing{c.name(), c.column.Half, key, by[key], c.waits})
		}
	}
	return out, nil
}

// Under keeps the values under keys that are not among the kept ones.
func Under(all []Standing, kept seal.KeyIDs) []Standing {
	return slices.DeleteFunc(slices.Clone(all), func(s Standing) bool {
		if s.Half == keyring.Sealing {
			return slices.Contains(kept.Sealing, s.Key)
		}
		return slices.Contains(kept.Hashing, s.Key)
	})
}

// Refusal tells why keys cannot be retired.
type Refusal struct {
	Rows      []Standing // under the keys that would go
	Processes int        // that write with other keys than the primary ones
	Ago       time.Duration
}

func (r *Refusal) Error() string {
	var b strings.Builder
	b.WriteString("the old keys cannot be retired yet:")
	if r.Processes > 0 {
		fmt.Fprintf(&b, "\n  %d running processes write with another key (the last one was seen %d s ago): deploy the promoted keyset to all, and wait %s",
			r.Processes, int(r.Ago.Seconds()), SeenWithin)
	}
	for _, s := range r.Rows {
		fmt.Fprintf(&b, "\n  %s: %d under %s key %d", s.Column, s.N, s.Half, s.Key)
		if s.Waits != "" {
			fmt.Fprintf(&b, " (%s)", s.Waits)
		}
	}
	if slices.ContainsFunc(r.Rows, func(s Standing) bool { return s.Waits == "" }) {
		b.WriteString("\nrun `connectlink keyset reseal`, and this again")
	}
	if slices.ContainsFunc(r.Rows, func(s Standing) bool { return s.Half == keyring.Hashing }) {
		b.WriteString("\nhashes that cannot be renewed can be kept: --keep-hashing retires the sealing keys alone")
	}
	return b.String()
}

// CheckRetired returns a *Refusal while the keys that next lacks are in use. It reads
// every table with sealed or hashed columns. Errors: ErrUnrecorded.
func CheckRetired(ctx context.Context, db postgres.DB, next seal.KeyIDs) error {
	if err := checkRecorded(ctx, db); err != nil {
		return err
	}
	list, err := keyring.ListProcesses(ctx, db, SeenWithin)
	if err != nil {
		return err
	}
	var refused Refusal
	for _, p := range list {
		if !p.WritesWith(keyring.Primary{Sealing: next.Sealing[0], Hashing: next.Hashing[0]}) {
			refused.Processes++
			refused.Ago = p.Ago
		}
	}
	all, err := ListStanding(ctx, db)
	if err != nil {
		return err
	}
	refused.Rows = Under(all, next)
	if refused.Processes > 0 || len(refused.Rows) > 0 {
		return &refused
	}
	return nil
}

// suppressionHash is the column that no rows may be lost of: people are not written to.
const suppressionHash = "public.suppressions.hash"

// ListMissingSuppressions returns the active suppressions under hashing keys that are
// neither in the keyset nor given up, counted up to most per key.
func ListMissingSuppressions(ctx context.Context, db *pgxpool.Pool, ids seal.KeyIDs, most int) ([]Standing, error) {
	cleared, err := keyring.ListCleared(ctx, db)
	if err != nil {
		return nil, err
	}
	by, err := keyring.CountOthers(ctx, db, "public.suppressions", "hash", "lifted_at IS NULL", slices.Concat(ids.Hashing, cleared.Hashing), most)
	if err != nil {
		return nil, err
	}
	var out []Standing
	for _, key := range slices.Sorted(maps.Keys(by)) {
		out = append(out, Standing{Column: suppressionHash, Half: keyring.Hashing, Key: key, N: by[key]})
	}
	return out, nil
}

// ListMissing returns the values under keys that processes wrote with and that the
// keyset lacks, up to most per column, without the hashes of suppressions:
// ListMissingSuppressions returns those. Columns that could not be counted in time are in
// the error, which does not keep the others from being returned.
func ListMissing(ctx context.Context, db postgres.DB, ids seal.KeyIDs, most int) ([]Standing, error) {
	missing, err := keyring.ListMissing(ctx, db, ids)
	if err != nil {
		return nil, err
	}
	var out []Standing
	var faults []error
	for _, c := range allCounted() {
		keys := missing.Sealing
		if c.column.Half == keyring.Hashing {
			keys = missing.Hashing
		}
		if c.name() == suppressionHash {
			continue
		}
		by, err := keyring.CountUnder(ctx, db, c.table, c.column, keys, most)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(by)) {
			out = append(out, Standing{c.name(), c.column.Half, key, by[key], c.waits})
		}
	}
	return out, errors.Join(faults...)
}

// List joins values for a sentence: "public.suppressions.hash: 12, public.staff.login_hash: 3".
func List(rows []Standing) string {
	parts := make([]string, len(rows))
	for i, s := range rows {
		parts[i] = fmt.Sprintf("%s: %d", s.Column, s.N)
	}
	return strings.Join(parts, ", ")
}

// Words of the audit log for acts of operators on keys. Rotations happen in files and
// variables, of which the database knows nothing.
const (
	ActResealed  access.Act = "keyset_resealed"
	ActRetired   access.Act = "keyset_keys_retired"
	ActForgotten access.Act = "keyset_keys_forgotten"
)
