package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/connectlink/connectlink/deploy/devpg"
)

// server is what a process knows of the server it uses.
type server struct {
	url      string    // of database "postgres"
	keeper   *pgx.Conn // holds the shared lock until the process ends; never used again
	watcher  *pgx.Conn // its socket stays open to no purpose but to be left alone
	template string
	strategy string // how CREATE DATABASE copies
	txURL    string // a migrated database that only rolled-back transactions see

	mu   sync.Mutex
	idle map[string][]*pgx.Conn // by URL; plain connections have no goroutines for goleak to find
}

// shared is the one piece of state that outlives a test: tests of a process
// have nothing else in common that could carry it.
//
//nolint:gochecknoglobals // see above
var shared = sync.OnceValues(func() (*server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	return openServer(ctx)
})

// Advisory locks in database "postgres".
const (
	useLock   int64 = 0x636c2d7573650001 // shared: I am using the server
	watchLock int64 = 0x636c2d7573650002 // exclusive: I watch for its being unused
	buildLock int64 = 0x636c2d7573650003 // exclusive: I make or remove databases for all
)

// idleFor is how long an unused server stays. Longer than a package takes to
// compile, so that it survives between the packages of a run; short enough to
// be gone soon after the last one.
const idleFor = 90 * time.Second

func openServer(ctx context.Context) (*server, error) {
	for _, name := range []string{"CONNECTLINK_TEST_DATABASE_URL", "DATABASE_URL"} {
		if u := os.Getenv(name); u != "" {
			s, err := joinServer(ctx, u)
			if err != nil {
				return nil, fmt.Errorf("use the server of %s: %w", name, err)
			}
			return s, s.prepare(ctx, false)
		}
	}
	// A server that stops itself just now is met by starting it again.
	for {
		s, err := openOwn(ctx)
		if err == nil || ctx.Err() != nil || !isPassing(err) {
			return s, err
		}
	}
}

func openOwn(ctx context.Context) (*server, error) {
	dir, err := serverFolder(ctx)
	if err != nil {
		return nil, err
	}
	s, err := openIn(ctx, dir, idleFor)
	if err != nil {
		return nil, fmt.Errorf("the test server in %s (nothing in it is worth keeping): %w", dir, err)
	}
	return s, nil
}

// openIn joins or starts the server in dir, which stops when it was unused for
// a while.
func openIn(ctx context.Context, dir string, unused time.Duration) (*server, error) {
	srv, err := devpg.Start(ctx, devpg.Params{
		Dir:    dir,
		Shared: true,
		NoSync: true,
		Settings: map[string]string{
			"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
			"max_connections": "300", "shared_buffers": "64MB",
			"max_wal_size": "256MB", "min_wal_size": "32MB", "checkpoint_timeout": "1h",
			// A broken test must not hold the others up.
			"deadlock_timeout": "200ms",
		},
	})
	if err != nil {
		return nil, err
	}
	s, err := joinServer(ctx, srv.URL())
	if err != nil {
		return nil, err
	}
	// Half the time of the default, which goes through the log to spare a
	// server with real data two checkpoints.
	s.strategy = " STRATEGY FILE_COPY"
	if err := s.watch(ctx, unused); err != nil {
		return nil, err
	}
	return s, s.prepare(ctx, !srv.Joined())
}

// joinServer connects and announces the use.
func joinServer(ctx context.Context, serverURL string) (*server, error) {
	conn, err := pgx.Connect(ctx, serverURL)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock_shared($1)", useLock); err != nil {
		_ = conn.Close(ctx)
		return nil, err
	}
	return &server{url: serverURL, keeper: conn, idle: map[string][]*pgx.Conn{}}, nil
}

// watch starts the session that stops the unused server, unless there is one.
// The server does not look at the client while the loop runs, so the session
// goes on without us.
func (s *server) watch(ctx context.Context, limit time.Duration) error {
	conn, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return err
	}
	var mine bool
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", watchLock).Scan(&mine); err != nil || !mine {
		return errors.Join(err, conn.Close(ctx))
	}
	loop := `DO $$
DECLARE
	unused int := 0;
BEGIN
	PERFORM set_config('application_name', 'stops the server when unused', false);
	LOOP
		COMMIT; -- a new snapshot; and an old one would keep dead rows alive
		PERFORM pg_sleep(1);
		IF pg_try_advisory_lock(` + strconv.FormatInt(useLock, 10) + `) THEN
			unused := unused + 1;
			IF unused >= ` + strconv.Itoa(int(limit/time.Second)) + ` THEN
				EXECUTE format('COPY (SELECT) TO PROGRAM %L', 'kill -INT ' || split_part(pg_read_file('postmaster.pid'), E'\n', 1));
				PERFORM pg_sleep(60); -- with the lock held, until the shutdown ends this session
			END IF;
			PERFORM pg_advisory_unlock(` + strconv.FormatInt(useLock, 10) + `);
		ELSE
			unused := 0;
		END IF;
	END LOOP;
END $$`
	// Sent and left: the answer never comes.
	conn.PgConn().Frontend().SendQuery(&pgproto3.Query{String: loop})
	if err := conn.PgConn().Frontend().Flush(); err != nil {
		return fmt.Errorf("start the watching session: %w", err)
	}
	s.watcher = conn
	return nil
}

// serverFolder is the test server's place: per user, per PostgreSQL version.
func serverFolder(ctx context.Context) (string, error) {
	bin, err := devpg.Find(ctx, os.LookupEnv, "", 0)
	if err != nil {
		return "", fmt.Errorf("%w. %s", err, devpg.Advice())
	}
	base := filepath.Join(memoryOr(os.TempDir()), "connectlink-test-"+strconv.Itoa(os.Geteuid()))
	if err := os.Mkdir(base, 0o711); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	// The temporary folder is everybody's.
	st, err := os.Lstat(base)
	if err != nil {
		return "", err
	}
	if sys, ok := st.Sys().(*syscall.Stat_t); !ok || !st.IsDir() || int(sys.Uid) != os.Geteuid() || st.Mode().Perm()&0o022 != 0 {
		return "", fmt.Errorf("%s is not a folder of ours alone: remove it", base)
	}
	return currentFolder(base, "pg"+strconv.Itoa(bin.Major), bootID())
}

// currentFolder names the server's folder and removes those from before the last
// start of this machine: without fsync a crash of the machine may have left
// nonsense, and nothing can be running there.
func currentFolder(base, version, boot string) (string, error) {
	keep := filepath.Join(base, version+"-"+boot)
	if boot == "" {
		return keep, nil
	}
	old, err := filepath.Glob(filepath.Join(base, version+"-*"))
	if err != nil {
		return "", err
	}
	for _, dir := range old {
		if dir == keep {
			continue
		}
		if err := os.RemoveAll(dir); err != nil {
			return "", fmt.Errorf("remove a test server of an earlier boot: %w", err)
		}
	}
	return keep, nil
}

// memoryOr prefers Linux's file system in memory where it has plenty of room
// (containers get 64 MB by default): copying a database means making some three
// hundred files, which takes ten times as long on a busy disk.
func memoryOr(dir string) string {
	const memory, enough = "/dev/shm", 2 << 30
	free, err := freeBytes(memory)
	if err != nil || free < enough {
		return dir
	}
	return memory
}

// database is the server's URL with another database.
func (s *server) database(name string) (string, error) {
	u, err := url.Parse(s.url)
	if err != nil {
		return "", fmt.Errorf("the test server's URL must be a URL (postgres://…): %w", err)
	}
	u.Path = "/" + name
	return u.String(), nil
}
