package postgres

import (
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

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
		return nil, fmt.Errorf("read the database URL: %w", err)
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
	c.LookupFunc = resolver(c.LookupFunc)
	before := c.OnPgError
	c.OnPgError = func(conn *pgconn.PgConn, e *pgconn.PgError) bool { return before(conn, e) && e.Code != readOnly }
	return cfg, nil
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
	if strings.HasPrefix(raw, "postgres://") || strings.HasPrefix(raw, "postgresql://") {
		_, query, _ := strings.Cut(raw, "?")
		values, _ := url.ParseQuery(query)
		return values.Has(key)
	}
	return regexp.MustCompile(`(?:^|\s)` + key + `\s*=`).MatchString(raw)
}
