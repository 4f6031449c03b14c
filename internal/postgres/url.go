package postgres

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Time to connect to one host, where the URL has no connect_timeout. With
// several hosts it is shorter: a host that does not answer must not keep the
// next one from being tried.
const (
	connectTimeout     = 5 * time.Second
	connectTimeoutEach = 3 * time.Second
)

// readOnly is the SQLSTATE of a write in a read-only session.
const readOnly = "25006"

// parseURL reads a database URL for any kind of connection; every connection of
// this package is made from its result.
//
//   - With several hosts, target_session_attrs is read-write unless it is given.
//   - A connection that answers 25006 is closed: after a failover it may belong
//     to a server that is now a reader, or it may keep a read-only default that
//     was lifted since.
//   - Sockets are opened by s; silence limits one read.
func parseURL(raw string, s *Sockets, silence time.Duration) (*pgxpool.Config, error) {
	cfg, err := pgxpool.ParseConfig(raw)
	if err != nil {
		return nil, unreadableURL(raw, err)
	}
	if s == nil {
		s = NewSockets()
	}
	c := cfg.ConnConfig
	several := hasSeveralHosts(&c.Config)
	if c.ConnectTimeout <= 0 {
		c.ConnectTimeout = connectTimeout
		if several {
			c.ConnectTimeout = connectTimeoutEach
		}
	}
	if several && !isGiven(raw, "target_session_attrs", "PGTARGETSESSIONATTRS") {
		c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	c.DialFunc = s.dialer(silence, several)
	c.LookupFunc = boundResolver(c.LookupFunc)
	before := c.OnPgError
	c.OnPgError = func(conn *pgconn.PgConn, e *pgconn.PgError) bool { return before(conn, e) && e.Code != readOnly }
	return cfg, nil
}

// unreadableURL returns the fault of a database URL. pgx hides the password of a
// URL; of keywords and values it hides only up to the first space, and the rest
// of an unquoted password would be printed.
func unreadableURL(raw string, err error) error {
	if isURL(raw) {
		return fmt.Errorf("read the database URL: %w", err)
	}
	return errors.New("read the database URL: its keywords and values cannot be read; put a value with spaces, quotes or backslashes in single quotes, as in password='two words'")
}

func isURL(raw string) bool {
	return strings.HasPrefix(raw, "postgres://") || strings.HasPrefix(raw, "postgresql://")
}

// checkExecMode refuses the ways of executing statements that send parameters as
// text: arrays of our types cannot be sent so.
func checkExecMode(mode pgx.QueryExecMode) error {
	if mode == pgx.QueryExecModeExec || mode == pgx.QueryExecModeSimpleProtocol {
		return errors.New("read the database URL: default_query_exec_mode=exec and simple_protocol are not supported; behind a transaction pooler set CONNECTLINK_DATABASE_DIRECT_URL and leave the mode out")
	}
	return nil
}

// hasSeveralHosts ignores pgx's second try of one host without TLS.
func hasSeveralHosts(c *pgconn.Config) bool {
	for _, f := range c.Fallbacks {
		if f.Host != c.Host || f.Port != c.Port {
			return true
		}
	}
	return false
}

// isGiven reports whether a URL, or a string of keywords and values, or the
// environment has a setting.
func isGiven(raw, key, variable string) bool {
	if os.Getenv(variable) != "" {
		return true
	}
	if isURL(raw) {
		_, query, _ := strings.Cut(raw, "?")
		values, _ := url.ParseQuery(query)
		return values.Has(key)
	}
	return regexp.MustCompile(`(?:^|\s)` + key + `\s*=`).MatchString(raw)
}
