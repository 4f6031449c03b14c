package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// WaitParams describes a Wait.
type WaitParams struct {
	URL     string
	Within  time.Duration // 0: one try
	Sockets *Sockets
	Log     *slog.Logger
}

const (
	waitFirst = 100 * time.Millisecond
	waitMax   = 2 * time.Second
	// waitLogEvery is the least time between two log lines of a Wait.
	waitLogEvery = 5 * time.Second
)

// Wait returns when the database at the URL takes a connection. Errors that may
// pass (refused, starting up, no free connection, a host name that is not known
// yet) are waited out for Within; others, such as a wrong password or database,
// are returned at once.
//
// Errors: ErrUnavailable after Within.
func Wait(ctx context.Context, p WaitParams) error {
	parsed, err := parseURL(p.URL, p.Sockets, answerTimeout)
	if err != nil {
		return err
	}
	begun := time.Now()
	var logged time.Time
	for pause := waitFirst; ; pause = min(2*pause, waitMax) {
		conn, err := pgx.ConnectConfig(ctx, parsed.ConnConfig)
		if err == nil {
			hangUp(ctx, conn)
			return nil
		}
		left := p.Within - time.Since(begun)
		if ctx.Err() != nil || !mayPass(err) || left <= 0 {
			return fmt.Errorf("reach the database: %w", Translate(err))
		}
		if time.Since(logged) >= waitLogEvery {
			logged = time.Now()
			p.Log.WarnContext(ctx, "waiting for the database", "err", Translate(err), "for_at_most", left.Round(time.Second).String())
		}
		if !waitFor(ctx, min(pause, left)) {
			return ctx.Err()
		}
	}
}

// mayPass reports whether the same call may succeed later without a change
// of the configuration.
func mayPass(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "08P01" { // a pooler that refuses a parameter
		return false
	}
	var certificate *tls.CertificateVerificationError
	return !errors.As(err, &certificate) && errors.Is(Translate(err), ErrUnavailable)
}

// IsRolledBack reports whether a statement that failed with err, translated or not,
// certainly took no effect: it was never sent, or the server refused it and went
// on. After any other error it may have been committed.
func IsRolledBack(err error) bool {
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		return true // there was no connection to send it on
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.SeverityUnlocalized == "ERROR"
	}
	return isPoolFull(err) || pgconn.SafeToRetry(err)
}

// IsPassing reports whether err, translated or not, concerns the connection, the
// server or a conflict, and not the written values: the same statement may
// succeed later, and splitting it does not help.
func IsPassing(err error) bool {
	err = Translate(err)
	return errors.Is(err, ErrUnavailable) || errors.Is(err, ErrSerialization) || callerGaveUp(err)
}
