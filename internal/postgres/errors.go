package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"
)

// Errors of Translate, for errors.Is.
var (
	// ErrUnavailable: the database could not be reached or has no room now. The
	// same call may succeed later; whether it took effect is unknown if it was a
	// commit.
	ErrUnavailable = errors.New("database unavailable")
	// ErrTimeout: one of our own limits ended a statement or a wait for a lock.
	// It is matched by ErrUnavailable too.
	ErrTimeout = errors.New("database time limit reached")
	// ErrSerialization: the transaction lost against another one (or was a
	// deadlock's victim) and may be tried again as a whole.
	ErrSerialization = errors.New("transaction conflict")
)

// errPoolFull is what waiting too long for a connection gives.
var errPoolFull = &fault{kind: ErrUnavailable, text: "database unavailable: no free connection"}

// errNoAnswer is what a limit of the client's side gives: the server did not
// answer in time, not even by its own limit.
var errNoAnswer = &fault{kind: ErrTimeout, text: "database time limit reached: no answer"}

func isPoolFull(err error) bool {
	var f *fault
	return errors.As(err, &f) && f == errPoolFull
}

// Kind is which sort of constraint was violated.
type Kind string

// The kinds of constraints.
const (
	Unique     Kind = "unique"
	Check      Kind = "check"
	ForeignKey Kind = "foreign key"
	NotNull    Kind = "not null"
	Exclusion  Kind = "exclusion"
)

// ConstraintError names the constraint that a statement violated. For NotNull,
// Name is the column's: PostgreSQL does not name those constraints. The
// offending values are left out, because they are personal data.
type ConstraintError struct {
	Name  string
	Kind  Kind
	Table string
	err   error
}

func (e *ConstraintError) Error() string {
	return string(e.Kind) + " constraint " + e.Name + " of table " + e.Table + " violated"
}

// Unwrap gives pgx's error. It holds values in its Detail: do not print that.
func (e *ConstraintError) Unwrap() error { return e.err }

// fault is any other translated error: text is safe to log, the cause is kept
// for errors.As only.
type fault struct {
	kind error // ErrUnavailable, ErrTimeout, ErrSerialization, or nil
	text string
	err  error
}

func (f *fault) Error() string { return f.text }
func (f *fault) Unwrap() error { return f.err }
func (f *fault) Is(target error) bool {
	return f.kind != nil && (target == f.kind || (f.kind == ErrTimeout && target == ErrUnavailable))
}

// Translate turns an error of pgx into one of this package's. The caller's own
// cancelled or expired context, pgx.ErrNoRows and errors from other sources
// pass unchanged; so do translated errors. The results contain no values:
// PostgreSQL quotes them in its messages.
func Translate(err error) error {
	if err == nil {
		return nil
	}
	var done *fault
	var constraint *ConstraintError
	if errors.As(err, &done) || errors.As(err, &constraint) {
		return err
	}
	// A server's answer comes first: a statement that our own limit ended can
	// arrive together with an expired context.
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		if pg.Code == "57014" && callerGaveUp(err) {
			return err
		}
		return translateServer(err, pg)
	}
	// The time to connect to one host is ours, not the caller's.
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) && !errors.Is(err, context.Canceled) {
		return &fault{kind: ErrUnavailable, text: "database unavailable: connection lost or refused", err: err}
	}
	if callerGaveUp(err) || errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &fault{kind: ErrTimeout, text: errNoAnswer.text, err: err}
	}
	if isUnreachable(err) {
		return &fault{kind: ErrUnavailable, text: "database unavailable: connection lost or refused", err: err}
	}
	return err
}

func translateServer(err error, pg *pgconn.PgError) error {
	kinds := map[string]Kind{"23505": Unique, "23514": Check, "23503": ForeignKey, "23502": NotNull, "23P01": Exclusion}
	if kind, ok := kinds[pg.Code]; ok {
		name := pg.ConstraintName
		if name == "" {
			name = pg.ColumnName
		}
		return &ConstraintError{Name: name, Kind: kind, Table: pg.TableName, err: err}
	}
	f := &fault{err: err, text: "database error " + pg.Code}
	class := pg.Code
	if len(class) > 2 {
		class = class[:2]
	}
	switch {
	case pg.Code == "40001" || pg.Code == "40P01":
		f.kind, f.text = ErrSerialization, "transaction conflict ("+pg.Code+")"
	case pg.Code == "57014" || pg.Code == "55P03" || pg.Code == "25P03" || pg.Code == "25P04":
		f.kind, f.text = ErrTimeout, "database time limit reached ("+pg.Code+")"
	// 08 connection, 53 resources (too many connections, disk full), 57P shutting
	// down or starting up, 58 the system's own errors, 25006 a read-only standby
	// after a failover.
	case class == "08" || class == "53" || class == "58" || strings.HasPrefix(pg.Code, "57P") || pg.Code == "25006":
		f.kind, f.text = ErrUnavailable, "database unavailable ("+pg.Code+")"
		// A pooler's refusals have the class 08; only their text identifies them.
		// It names users, databases and settings, not values.
		if class == "08" {
			f.text += ": " + pg.Message
		}
		if strings.Contains(pg.Message, "startup parameter") {
			f.text += " (this is a transaction pooler: set CONNECTLINK_DATABASE_DIRECT_URL to an address past it)"
		}
	// Mistakes in our SQL or schema: the message names objects, not values.
	case class == "42" || class == "3F" || class == "3D" || class == "28":
		f.text += ": " + pg.Message
	}
	return f
}

func callerGaveUp(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

func isUnreachable(err error) bool {
	var network net.Error
	return errors.As(err, &network) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, pgconn.ErrConnClosed) || errors.Is(err, puddle.ErrClosedPool)
}

// IsConstraint reports whether err, translated or not, is a violation of the
// constraint with this name.
func IsConstraint(err error, name string) bool {
	var constraint *ConstraintError
	if errors.As(err, &constraint) {
		return constraint.Name == name
	}
	var pg *pgconn.PgError
	return errors.As(err, &pg) && strings.HasPrefix(pg.Code, "23") && pg.ConstraintName == name
}
