//go:build unix

package devpg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// MinMajor is the oldest PostgreSQL major version that is accepted.
const MinMajor = 15

// port only names the socket's file; nothing listens on TCP.
const port = "5432"

// Params are the cluster's folder and the way to find the server.
type Params struct {
	// Dir is the cluster's own folder inside the state folder. It is created
	// when missing. Nothing else may be kept in it.
	Dir string
	// Log receives a line per start, stop and recovery. Nil discards them.
	Log *slog.Logger
	// Env looks up the environment; nil is os.LookupEnv.
	Env func(string) (string, bool)
	// Ask is called when no server was found and the environment does not
	// already agree to a download. Nil means no.
	Ask func(ctx context.Context, offer Offer) bool
	// CacheDir holds downloaded servers; empty picks the user's cache folder.
	CacheDir string
	// Elsewhere is where root's clusters go when the server's user cannot enter
	// Dir; empty is /var/lib/connectlink.
	Elsewhere string
	// Settings are further server settings, winning over the built-in ones.
	Settings map[string]string
	// From is the URL of a running server whose data a new cluster is copied from,
	// and which it then follows as a standby. That server needs wal_level=replica
	// and max_wal_senders among its Settings.
	From string
	// NoSync skips making a new cluster durable; for throw-away clusters.
	NoSync bool
	// Shared detaches the server from this process: a running one is joined,
	// and it outlives the caller, who arranges its end.
	Shared bool
}

// Server is a running cluster.
type Server struct {
	url    string
	home   string
	log    *slog.Logger
	lock   *os.File // held for as long as the server is ours; nil when shared
	pid    int
	joined bool
	done   chan struct{} // closed when the process has ended; never for a shared one
	guard  func()        // ends the death watch
}

// ErrInUse is matched by an *InUseError.
var ErrInUse = errors.New("devpg: the cluster is in use")

// ErrNotFound is matched when there is no usable PostgreSQL on this machine;
// the error's text is the instruction for installing one.
var ErrNotFound = errors.New("devpg: no PostgreSQL server found")

// ErrVersion is matched when the data belongs to another major version than
// every server found.
var ErrVersion = errors.New("devpg: the data belongs to another PostgreSQL version")

// InUseError says that another process runs this cluster, and how to use it
// from here.
type InUseError struct {
	Dir string
	PID int    // the process that started the server; 0 when it could not be read
	URL string // connect to this; empty while that process is still starting
}

func (e *InUseError) Error() string {
	s := "the database in " + e.Dir + " is in use"
	if e.PID != 0 {
		s += fmt.Sprintf(" by process %d", e.PID)
	}
	if e.URL != "" {
		s += "; to use the same one set CONNECTLINK_DATABASE_URL='" + e.URL + "'"
	}
	return s + "; or choose another state folder"
}

// Is makes errors.Is(err, ErrInUse) true.
func (e *InUseError) Is(target error) bool { return target == ErrInUse }

// Start makes sure the cluster exists and runs, and returns once it accepts
// connections. ctx bounds the start only; the server runs until Stop or the
// end of this process.
//
// Errors: ErrInUse, ErrNotFound, ErrVersion; anything else carries the last
// lines of the server's log.
func Start(ctx context.Context, p Params) (*Server, error) {
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	if p.Env == nil {
		p.Env = os.LookupEnv
	}
	if p.Elsewhere == "" {
		p.Elsewhere = "/var/lib/connectlink"
	}
	dir, err := filepath.Abs(p.Dir)
	if err != nil || p.Dir == "" {
		return nil, fmt.Errorf("devpg: folder %q: %w", p.Dir, errors.Join(err, os.ErrInvalid))
	}
	p.Dir = dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("devpg: create the cluster's folder: %w", err)
	}
	lock, err := takeLock(ctx, dir, p.Shared)
	if err != nil {
		return nil, err
	}
	s, err := startServer(ctx, p, lock)
	if err != nil && ctx.Err() != nil {
		// A program that was ended with ctx says anything: that it is missing,
		// or was killed. The cause is the caller's wish.
		err = fmt.Errorf("devpg: start: %w", context.Cause(ctx))
	}
	if err != nil || p.Shared {
		releaseLock(lock)
		return s, err
	}
	s.lock = lock
	return s, nil
}

func startServer(ctx context.Context, p Params, lock *os.File) (*Server, error) {
	began := time.Now()
	who, err := serverAccount()
	if err != nil {
		return nil, err
	}
	home, err := knownHome(p.Dir)
	if err != nil {
		return nil, err
	}
	want, err := dataMajor(filepath.Join(home, "data"))
	if err != nil {
		return nil, err
	}
	bin, err := obtainServer(ctx, p, who, want)
	if err != nil {
		return nil, err
	}
	if want == 0 {
		if home, err = chooseHome(ctx, p, bin, who); err != nil {
			return nil, err
		}
	}
	c := cluster{home: home, data: filepath.Join(home, "data"), bin: bin, who: who, params: p}
	if c.socket, err = socketDir(home, who); err != nil {
		return nil, err
	}
	s := &Server{url: socketURL(c.socket), home: home, log: p.Log}
	writeOwner(lock, s.url)

	if want == 0 {
		if err := c.initialise(ctx); err != nil {
			return nil, err
		}
	}
	running, err := c.settlePrevious(ctx)
	if err != nil {
		return nil, err
	}
	if running != 0 {
		s.pid, s.joined = running, true
		return s, nil
	}
	if err := c.launch(ctx, s); err != nil {
		return nil, err
	}
	p.Log.Info("private PostgreSQL is up", "dir", home, "version", bin.Version,
		"new", want == 0, "took", time.Since(began).Round(time.Millisecond))
	return s, nil
}

// URL is the connection string, through the unix socket.
func (s *Server) URL() string { return s.url }

// Home is the folder that really holds the data; it differs from Params.Dir
// only for root with a closed state folder.
func (s *Server) Home() string { return s.home }

// PID is the server's process.
func (s *Server) PID() int { return s.pid }

// Joined says that a shared server was already running.
func (s *Server) Joined() bool { return s.joined }

// Done is closed when the server has ended, asked or not. For a shared server
// it is nil.
func (s *Server) Done() <-chan struct{} { return s.done }

// Stop ends the server by PostgreSQL's fast shutdown and waits for it. When
// ctx ends first the server is stopped at once; its log then recovers it at
// the next start and nothing committed is lost. A shared server is left alone.
func (s *Server) Stop(ctx context.Context) error {
	if s.done == nil {
		return nil
	}
	defer releaseLock(s.lock)
	defer s.guard()
	_ = signalPID(s.pid, fastShutdown)
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
	}
	_ = signalPID(s.pid, immediateShutdown)
	select {
	case <-s.done:
		s.log.Warn("private PostgreSQL was stopped the hard way; it recovers at the next start")
		return fmt.Errorf("devpg: fast shutdown: %w", ctx.Err())
	case <-time.After(5 * time.Second):
		return fmt.Errorf("devpg: the server (pid %d) does not stop: %w", s.pid, ctx.Err())
	}
}

// socketURL names port and database in full, so that PG* variables of the
// user's shell do not bend it.
func socketURL(dir string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.User("postgres"),
		Path:     "/postgres",
		RawQuery: url.Values{"host": {dir}, "port": {port}}.Encode(),
	}
	return u.String()
}
