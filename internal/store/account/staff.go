package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
)

// Kinds of staff accounts: what signs them in.
const (
	ByIssuer   = "oidc"
	ByPassword = "local"
	ByLink     = "link" // dev's own
)

// EveryProject is a role's project where it holds for all of them.
const EveryProject = "*"

// Staff is an account as stored. The profile is sealed.
type Staff struct {
	ID          invite.StaffID         `db:"id"`
	Kind        string                 `db:"kind"`
	Profile     []byte                 `db:"profile"`
	Roles       map[string]access.Role `db:"roles"` // by project
	CreatedAt   time.Time              `db:"created_at"`
	SignedInAt  *time.Time             `db:"signed_in_at"`
	DisabledAt  *time.Time             `db:"disabled_at"`
	LockedUntil *time.Time             `db:"locked_until"` // of its second factor, after wrong codes
	// FactorSetAt is when the second factor was set up; nil: there is none.
	FactorSetAt *time.Time `db:"factor_set_at"`
	// FactorResetAt is when an operator last reset the second factor.
	FactorResetAt *time.Time `db:"factor_reset_at"`
	// HasPassword is false for a local account whose owner has not set a password yet.
	HasPassword bool `db:"has_password"`
	// LinkExpiresAt is when the link by which the owner sets a password expires; nil: there
	// is none.
	LinkExpiresAt *time.Time `db:"link_expires_at"`
}

// Role is what the account may do in a project; "" is nothing.
func (s Staff) Role(project string) access.Role {
	own, all := s.Roles[project], s.Roles[EveryProject]
	if all.AtLeast(own) || own == "" {
		return all
	}
	return own
}

const staffColumns = `s.id, s.kind, s.profile, s.created_at, s.signed_in_at, s.disabled_at, s.factor_reset_at, s.password <> '' AS has_password,
	(SELECT max(l.expires_at) FROM staff_links l WHERE l.staff_id = s.id AND l.purpose = 'password' AND l.expires_at > now()) AS link_expires_at,
	(SELECT t.created_at FROM staff_totp t WHERE t.staff_id = s.id) AS factor_set_at,
	(SELECT t.locked_until FROM staff_totp t WHERE t.staff_id = s.id AND t.locked_until > now()) AS locked_until,
	coalesce((SELECT jsonb_object_agg(r.project_id, r.role) FROM staff_roles r WHERE r.staff_id = s.id), '{}') AS roles`

// NewStaff is an account to be stored.
type NewStaff struct {
	ID        invite.StaffID
	Kind      string
	LoginHash seal.Hash
	Login     []byte // sealed: what LoginHash is of
	Profile   []byte
	Password  string // PHC; of local accounts
}

// InsertStaff stores an account. Errors: *postgres.ConstraintError on
// staff_login_hash_key when there is one already.
func InsertStaff(ctx context.Context, tx pgx.Tx, n NewStaff) error {
	_, err := tx.Exec(ctx, `INSERT INTO staff (id, kind, login_hash, login, profile, password) VALUES ($1, $2, $3, $4, $5, $6)`,
		n.ID, n.Kind, n.LoginHash, n.Login, n.Profile, n.Password)
	if err != nil {
		return fmt.Errorf("insert staff %s: %w", n.ID, postgres.Translate(err))
	}
	return nil
}

// LockStaff finds an account by any of its login's hashes, and locks it.
func LockStaff(ctx context.Context, tx pgx.Tx, login []seal.Hash) (s Staff, password string, found bool, err error) {
	err = tx.QueryRow(ctx, `SELECT id, password FROM staff WHERE login_hash = ANY($1) FOR UPDATE`, login).Scan(&s.ID, &password)
	if errors.Is(err, pgx.ErrNoRows) {
		return Staff{}, "", false, nil
	}
	if err != nil {
		return Staff{}, "", false, fmt.Errorf("lock staff by login: %w", postgres.Translate(err))
	}
	s, err = GetStaff(ctx, tx, s.ID)
	return s, password, err == nil, err
}

// LockStaffByID returns an account with its stored password, and locks it. Errors:
// ErrNotFound.
func LockStaffByID(ctx context.Context, tx pgx.Tx, id invite.StaffID) (s Staff, password string, err error) {
	err = tx.QueryRow(ctx, `SELECT password FROM staff WHERE id = $1 FOR UPDATE`, id).Scan(&password)
	if errors.Is(err, pgx.ErrNoRows) {
		return Staff{}, "", fmt.Errorf("lock staff %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return Staff{}, "", fmt.Errorf("lock staff %s: %w", id, postgres.Translate(err))
	}
	s, err = GetStaff(ctx, tx, id)
	return s, password, err
}

// GetTime returns the database's time.
func GetTime(ctx context.Context, db postgres.DB) (now time.Time, err error) {
	if err := db.QueryRow(ctx, `SELECT now()`).Scan(&now); err != nil {
		return now, fmt.Errorf("read the clock: %w", postgres.Translate(err))
	}
	return now, nil
}

// GetStaff returns an account. Errors: ErrNotFound.
func GetStaff(ctx context.Context, db postgres.DB, id invite.StaffID) (Staff, error) {
	rows, _ := db.Query(ctx, `SELECT `+staffColumns+` FROM staff s WHERE s.id = $1`, id)
	s, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Staff])
	if errors.Is(err, pgx.ErrNoRows) {
		return Staff{}, fmt.Errorf("get staff %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return Staff{}, fmt.Errorf("get staff %s: %w", id, postgres.Translate(err))
	}
	return s, nil
}

// ListStaff returns every account, newest first.
func ListStaff(ctx context.Context, db postgres.DB) ([]Staff, error) {
	rows, _ := db.Query(ctx, `SELECT `+staffColumns+` FROM staff s ORDER BY s.id DESC`)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Staff])
	if err != nil {
		return nil, fmt.Errorf("list staff: %w", postgres.Translate(err))
	}
	return list, nil
}

// SetProfile updates an account at a sign-in: its login's hash under the
// current key with its sealed copy, and its profile.
func SetProfile(ctx context.Context, tx pgx.Tx, id invite.StaffID, hash seal.Hash, login, profile []byte) error {
	if _, err := tx.Exec(ctx, `UPDATE staff SET login_hash = $2, login = $3, profile = $4 WHERE id = $1`, id, hash, login, profile); err != nil {
		return fmt.Errorf("set profile of staff %s: %w", id, postgres.Translate(err))
	}
	return nil
}

// SetRole gives an account a role in one project, and leaves its others; "" takes the role
// away.
func SetRole(ctx context.Context, tx pgx.Tx, id invite.StaffID, project string, role access.Role) error {
	var err error
	if role == "" {
		_, err = tx.Exec(ctx, `DELETE FROM staff_roles WHERE staff_id = $1 AND project_id = $2`, id, project)
	} else {
		_, err = tx.Exec(ctx, `INSERT INTO staff_roles (staff_id, project_id, role) VALUES ($1, $2, $3)
			ON CONFLICT (staff_id, project_id) DO UPDATE SET role = EXCLUDED.role`, id, project, string(role))
	}
	if err != nil {
		return fmt.Errorf("set role of staff %s: %w", id, postgres.Translate(err))
	}
	return nil
}

// SetRoles gives an account these roles and no others.
func SetRoles(ctx context.Context, tx pgx.Tx, id invite.StaffID, roles map[string]access.Role) error {
	projects, names := make([]string, 0, len(roles)), make([]string, 0, len(roles))
	for p, r := range roles {
		projects, names = append(projects, p), append(names, string(r))
	}
	_, err := tx.Exec(ctx, `DELETE FROM staff_roles WHERE staff_id = $1 AND NOT project_id = ANY($2)`, id, projects)
	if err == nil {
		_, err = tx.Exec(ctx, `
			INSERT INTO staff_roles (staff_id, project_id, role) SELECT $1, * FROM unnest($2::text[], $3::text[])
			ON CONFLICT (staff_id, project_id) DO UPDATE SET role = EXCLUDED.role`, id, projects, names)
	}
	if err != nil {
		return fmt.Errorf("set roles of staff %s: %w", id, postgres.Translate(err))
	}
	return nil
}

// SetPassword replaces a password, and deletes the link by which another could be set.
func SetPassword(ctx context.Context, tx pgx.Tx, id invite.StaffID, phc string) error {
	_, err := tx.Exec(ctx, `UPDATE staff SET password = $2 WHERE id = $1`, id, phc)
	if err != nil {
		return fmt.Errorf("set password of staff %s: %w", id, postgres.Translate(err))
	}
	return DeletePasswordLinks(ctx, tx, id)
}

// SetSignedIn records a sign-in. failures and locked_until are of releases that
// locked accounts for all who tried.
func SetSignedIn(ctx context.Context, tx pgx.Tx, id invite.StaffID) error {
	_, err := tx.Exec(ctx, `UPDATE staff SET signed_in_at = now(), failures = 0, locked_until = NULL WHERE id = $1`, id)
	if err != nil {
		return fmt.Errorf("record a sign-in of staff %s: %w", id, postgres.Translate(err))
	}
	return nil
}

// SetDisabled ends an account, or brings it back; false means that it stood so
// before. An account that ends is on no invite any more.
func SetDisabled(ctx context.Context, tx pgx.Tx, id invite.StaffID, disabled bool) (bool, error) {
	tag, err := tx.Exec(ctx, `UPDATE staff SET disabled_at = CASE WHEN $2 THEN now() END
		WHERE id = $1 AND (disabled_at IS NOT NULL) <> $2`, id, disabled)
	if err != nil {
		return false, fmt.Errorf("disable staff %s: %w", id, postgres.Translate(err))
	}
	if !disabled {
		return tag.RowsAffected() == 1, nil
	}
	if _, err := tx.Exec(ctx, `DELETE FROM invite_owners WHERE staff_id = $1`, id); err != nil {
		return false, fmt.Errorf("delete ownerships of staff %s: %w", id, postgres.Translate(err))
	}
	return tag.RowsAffected() == 1, DeletePasswordLinks(ctx, tx, id)
}

// InsertStaffLink stores a link that signs an account in once.
func InsertStaffLink(ctx context.Context, tx pgx.Tx, id invite.StaffID, digest []byte, lasts time.Duration) error {
	_, err := tx.Exec(ctx, `DELETE FROM staff_links WHERE expires_at < now()`)
	if err == nil {
		_, err = tx.Exec(ctx, `INSERT INTO staff_links (digest, staff_id, expires_at) VALUES ($1, $2, now() + make_interval(secs => $3))`,
			digest, id, lasts.Seconds())
	}
	if err != nil {
		return fmt.Errorf("insert sign-in link of staff %s: %w", id, postgres.Translate(err))
	}
	return nil
}

// TakeStaffLink uses a link up.
func TakeStaffLink(ctx context.Context, tx pgx.Tx, digest []byte) (id invite.StaffID, ok bool, err error) {
	err = tx.QueryRow(ctx, `DELETE FROM staff_links WHERE digest = $1 AND purpose = 'sign_in' AND expires_at > now() RETURNING staff_id`, digest).Scan(&id)
	return foundLink(id, err)
}
