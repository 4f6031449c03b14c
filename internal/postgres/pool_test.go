package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
)

func TestFullPoolIsUnavailableSoon(t *testing.T) {
	t.Parallel()
	pool := open(t, postgres.Params{MaxConns: 1, AcquireTimeout: 50 * time.Millisecond})
	held, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	patient, cancel := context.WithTimeout(t.Context(), patience) // the connection is held until then
	defer cancel()
	_, err = pool.Exec(patient, "SELECT 1")
	if err := postgres.Translate(err); !errors.Is(err, postgres.ErrUnavailable) {
		t.Errorf("query on a full pool: got %v, want ErrUnavailable", err)
	}
	if _, err := pool.Begin(patient); !errors.Is(postgres.Translate(err), postgres.ErrUnavailable) {
		t.Errorf("begin on a full pool: got %v, want ErrUnavailable", err)
	}

	// The caller's own deadline is told apart.
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err = pool.Exec(ctx, "SELECT 1")
	if err := postgres.Translate(err); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, postgres.ErrUnavailable) {
		t.Errorf("caller's deadline on a full pool: got %v, want only context.DeadlineExceeded", err)
	}

	held.Release()
	if n := scalar[int](t, pool, "SELECT 1"); n != 1 {
		t.Errorf("after the release: got %d", n)
	}
}

func TestAcquireTimeoutDoesNotShortenTheQuery(t *testing.T) {
	t.Parallel()
	pool := open(t, postgres.Params{AcquireTimeout: 100 * time.Millisecond})
	exec(t, pool, "SELECT pg_sleep(0.3)")
}

func TestLimitsHoldOnEveryConnection(t *testing.T) {
	t.Parallel()
	pool := open(t, postgres.Params{
		StatementTimeout: 100 * time.Millisecond, LockTimeout: 70 * time.Millisecond, IdleInTx: 90 * time.Second, AppName: "who",
	})
	for setting, want := range map[string]string{
		"statement_timeout": "100ms", "lock_timeout": "70ms", "idle_in_transaction_session_timeout": "90s",
		"application_name": "who", "TimeZone": "UTC", "jit": "off", "enable_seqscan": "off", "random_page_cost": "1.1",
	} {
		if got := scalar[string](t, pool, "SELECT current_setting($1)", setting); got != want {
			t.Errorf("%s: got %s, want %s", setting, got, want)
		}
	}
	_, err := pool.Exec(t.Context(), "SELECT pg_sleep(10)")
	if err := postgres.Translate(err); !errors.Is(err, postgres.ErrTimeout) || !errors.Is(err, postgres.ErrUnavailable) {
		t.Errorf("slow statement: got %v, want ErrTimeout, which is ErrUnavailable", err)
	}
}

func TestOpenSaysWhyAndNoPassword(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{
		"unreadable":  "postgres://u:canary@host:not-a-port/db",
		"unreachable": "postgres://u:canary@127.0.0.1:1/db?sslmode=disable",
	} {
		_, err := postgres.Open(t.Context(), postgres.Params{URL: url})
		if err == nil {
			t.Fatalf("%s: no error", name)
		}
		if strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the password is in %q", name, err)
		}
		if got := errors.Is(err, postgres.ErrUnavailable); got != (name == "unreachable") {
			t.Errorf("%s: ErrUnavailable is %v: %v", name, got, err)
		}
	}
}

func TestOpenOutlastsASlowFirstConnection(t *testing.T) {
	t.Parallel()
	way := newLink(t, postgrestest.NewEmpty(t), 300*time.Millisecond) // a far database, TLS, a cold proxy
	pool := open(t, postgres.Params{URL: way.url, AcquireTimeout: 50 * time.Millisecond})
	exec(t, pool, "SELECT 1") // and it is there to be used
}

// A load balancer sends a new instance its full share at once, so Open returns with
// connections that are ready, not with one.
func TestReliabilityF8OpenWarmsThePool(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		warm int
		most int32
		want int32
	}{{0, 4, 1}, {3, 4, 3}, {9, 2, 2}} {
		pool := open(t, postgres.Params{MaxConns: c.most, Warm: c.warm, AcquireTimeout: patience})
		if got := pool.Stat(); got.IdleConns() != c.want || got.TotalConns() != c.want {
			t.Errorf("warm %d of %d: %d connections, %d idle, want %d", c.warm, c.most, got.TotalConns(), got.IdleConns(), c.want)
		}
	}
}
