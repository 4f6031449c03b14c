package chaos

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/deploy/devpg"
	"github.com/connectlink/connectlink/internal/postgres"
)

// startServers starts a primary and a standby that follows it.
func (f *failover) startServers(ctx context.Context) (err error) {
	settings := map[string]string{"max_connections": "150", "wal_level": "replica", "max_wal_senders": "4"}
	if f.primary, err = devpg.Start(ctx, devpg.Params{Dir: filepath.Join(f.dir, "one"), Settings: settings, NoSync: true}); err != nil {
		return err
	}
	if f.standby, err = devpg.Start(ctx, devpg.Params{Dir: filepath.Join(f.dir, "two"), Settings: settings, NoSync: true, From: f.primary.URL()}); err != nil {
		return err
	}
	db, err := pgx.Connect(ctx, f.primary.URL())
	if err != nil {
		return postgres.Translate(err)
	}
	defer func() { _ = db.Close(ctx) }()
	for _, sql := range []string{`ALTER SYSTEM SET synchronous_standby_names = '*'`, `SELECT pg_reload_conf()`} {
		if _, err := db.Exec(ctx, sql); err != nil {
			return postgres.Translate(err)
		}
	}
	for {
		var synced bool
		if err := db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')`).Scan(&synced); err != nil {
			return postgres.Translate(err)
		}
		if synced {
			return nil
		}
		waitFor(ctx, 20*time.Millisecond)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

func (f *failover) stopServers(ctx context.Context) {
	for _, p := range []*proxy{f.first, f.second} {
		if p != nil {
			p.close()
		}
	}
	for _, s := range []*devpg.Server{f.primary, f.standby} {
		if s == nil {
			continue
		}
		_ = signalFamily(s.PID(), syscall.SIGKILL) // it may be frozen
		<-s.Done()
		_ = s.Stop(context.WithoutCancel(ctx))
		_ = os.RemoveAll(s.Home())
	}
}

// signalFamily signals a server and its children, each of which leads a session
// of its own.
func signalFamily(pid int, s syscall.Signal) error {
	// Before: when a killed parent is gone its children have another one. After:
	// until it is stopped it may have made more.
	before, err := childrenOf(pid)
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, s); err != nil {
		return err
	}
	after, err := childrenOf(pid)
	if err != nil {
		return err
	}
	for _, c := range append(before, after...) {
		_ = syscall.Kill(c, s) // it may have ended meanwhile
	}
	return nil
}

// childrenOf reads Linux's process table.
func childrenOf(pid int) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list the server's processes: %w", err)
	}
	var out []int
	for _, e := range entries {
		child, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		raw, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue
		}
		// pid (name) state parent …; the name may hold anything.
		var state string
		var parent int
		if i := lastParen(raw); i < 0 {
			continue
		} else if _, err := fmt.Sscan(string(raw[i+1:]), &state, &parent); err == nil && parent == pid {
			out = append(out, child)
		}
	}
	return out, nil
}

func lastParen(b []byte) int {
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] == ')' {
			return i
		}
	}
	return -1
}
