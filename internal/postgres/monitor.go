package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// MonitorParams describes a Monitor.
type MonitorParams struct {
	URL     string
	Sockets *Sockets
	AppName string // shown in pg_stat_activity; default "connectlink monitor"
	// Pools have their connections replaced when the database does not answer or
	// takes no writes, and when it does again.
	Pools []*pgxpool.Pool
	// Space is what the pools know of the server's disk; may be nil.
	Space *Space
	Log   *slog.Logger
	Every time.Duration // 2 s
}

// Monitor asks from time to time, on a connection of its own, whether the
// database takes writes. Requests that fill a pool do not make its answer
// worse, and a pool's old sessions do not make it better.
type Monitor struct {
	cfg   *pgx.ConnConfig
	pools []*pgxpool.Pool
	space *Space
	log   *slog.Logger
	every time.Duration

	asking chan struct{} // holds a token while no check runs; guards conn and noEmit
	conn   *pgx.Conn
	noEmit bool // pg_logical_emit_message may not be called

	mu  sync.Mutex
	at  time.Time // when err was found
	err error
}

// ErrReadOnly says that the database takes no writes: a standby, or a read-only
// default.
var ErrReadOnly = errors.New("the database is read-only")

// errNotAsked says that a Monitor has no recent answer.
var errNotAsked = errors.New("the database has not answered lately")

// NewMonitor makes a Monitor; nothing is asked before Run or Writable.
func NewMonitor(p MonitorParams) (*Monitor, error) {
	parsed, err := parseURL(p.URL, p.Sockets, answerTimeout)
	if err != nil {
		return nil, err
	}
	cfg := parsed.ConnConfig
	cfg.RuntimeParams["application_name"] = orDefault(p.AppName, "connectlink monitor")
	cfg.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol // also through a transaction pooler
	m := &Monitor{cfg: cfg, pools: p.Pools, space: p.Space, log: p.Log, every: orDefault(p.Every, 2*time.Second), asking: make(chan struct{}, 1)}
	m.asking <- struct{}{}
	return m, nil
}

// Run checks until ctx ends; it returns nil.
func (m *Monitor) Run(ctx context.Context) error {
	for {
		_ = m.check(ctx)
		if !waitFor(ctx, m.every) {
			break
		}
	}
	<-m.asking
	if m.conn != nil {
		hangUp(ctx, m.conn)
		m.conn = nil
	}
	m.asking <- struct{}{}
	return nil
}

// Writable returns nil when the database took a write a moment ago, else the
// reason. It waits for an answer for as long as a check takes, but no longer
// than answerTimeout.
func (m *Monitor) Writable(ctx context.Context) error {
	m.mu.Lock()
	at, err := m.at, m.err
	m.mu.Unlock()
	if !at.IsZero() && time.Since(at) < m.every+answerTimeout {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	if err = m.check(ctx); err != nil && ctx.Err() != nil {
		return errNotAsked
	}
	return err
}

// check asks once and keeps the answer.
func (m *Monitor) check(ctx context.Context) error {
	select {
	case <-m.asking:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { m.asking <- struct{}{} }()
	err := m.ask(ctx)
	if ctx.Err() != nil {
		return ctx.Err() // the caller's end says nothing about the database
	}
	m.mu.Lock()
	before := m.err
	m.mu.Unlock()
	if err != nil || before != nil {
		m.changed(ctx, before, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at, m.err = time.Now(), err
	return err
}

// changed replaces the pools' connections while the database takes no writes,
// and once more before it is said to take them again: sessions of the time
// between may still be read-only.
func (m *Monitor) changed(ctx context.Context, before, err error) {
	switch {
	case err == nil:
		m.log.InfoContext(ctx, "the database takes writes again")
	case before == nil || before.Error() != err.Error():
		m.log.WarnContext(ctx, "the database takes no writes", "err", err)
	}
	var pg *pgconn.PgError
	full := errors.Is(err, ErrDiskFull) || err == nil && errors.Is(before, ErrDiskFull)
	if full || errors.As(err, &pg) && strings.HasPrefix(pg.Code, "53") {
		return // no room for another connection, or on the disk, is no fault of the connections
	}
	for _, pool := range m.pools {
		pool.Reset()
	}
}

// Statements of a check. The message is a write that needs no table: it has to
// reach the disk, and a synchronous standby, before it is answered.
const (
	askReadOnly = `SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean`
	askWrite    = `SELECT pg_logical_emit_message(true, 'connectlink', '')`
)

// ask makes one check. A session that is read-only or failed is closed: the next
// one may be with another server.
func (m *Monitor) ask(ctx context.Context) (err error) {
	defer func() {
		if err != nil && m.conn != nil {
			hangUp(ctx, m.conn)
			m.conn = nil
		}
	}()
	if m.conn == nil || m.conn.IsClosed() {
		if m.conn, err = pgx.ConnectConfig(ctx, m.cfg); err != nil {
			m.conn = nil
			return fmt.Errorf("connect: %w", Translate(err))
		}
	}
	asking, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	var reader bool
	if err := m.conn.QueryRow(asking, askReadOnly).Scan(&reader); err != nil {
		return m.noAnswer(ctx, err)
	}
	if reader {
		return ErrReadOnly
	}
	if !m.noEmit {
		_, err = m.conn.Exec(asking, askWrite)
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.Code == "42501" { // a role that may not: reading must do
			m.noEmit, err = true, nil
		}
		if err != nil {
			return m.noAnswer(ctx, err)
		}
	}
	if err := m.space.ask(asking, m.conn); err != nil {
		return m.noAnswer(ctx, err)
	}
	return nil
}

// noAnswer tells our own limit from the caller's.
func (m *Monitor) noAnswer(ctx context.Context, err error) error {
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return errNoAnswer
	}
	return Translate(err)
}
