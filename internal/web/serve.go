package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Limits of a connection. writeTimeout is longer than DefaultRequestTimeout,
// so that a request that ran out of time is still answered.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = 40 * time.Second
	maxHeaderBytes    = 16 << 10
)

// DefaultKeepAlive is how long an idle connection stays open. A load balancer
// must hang up first, or it sends a request into a connection that is being
// closed: Google's keeps connections for 600 s, and that cannot be changed.
const DefaultKeepAlive = 620 * time.Second

// Server returns an http.Server with time limits and caps for h. Idle connections
// stay open for DefaultKeepAlive.
func Server(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       DefaultKeepAlive,
		MaxHeaderBytes:    maxHeaderBytes,
		// Handshake faults and the like: noise of the internet, not ours.
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// Stop is how a server ends.
type Stop struct {
	// Drain is how long requests are still taken, each answer closing its
	// connection: a load balancer needs this long to see that readiness is off.
	Drain time.Duration
	// Grace is how long requests under way may then take to finish.
	Grace time.Duration
}

// Serve answers on ln until ctx ends, continues for the drain, then lets the
// requests in progress finish for at most the grace and hangs up on the rest. It
// returns nil after an orderly end. Requests do not inherit ctx: a stop must not
// fail a request in progress.
func Serve(ctx context.Context, ln net.Listener, srv *http.Server, stop Stop) error {
	var draining atomic.Bool
	h := srv.Handler
	srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if draining.Load() {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ln) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve on %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	draining.Store(true)
	drained := time.NewTimer(stop.Drain)
	defer drained.Stop()
	select {
	case err := <-ended:
		return fmt.Errorf("serve on %s: %w", ln.Addr(), err)
	case <-drained.C:
	}
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), stop.Grace)
	defer cancel()
	err := srv.Shutdown(finish)
	if err != nil {
		_ = srv.Close() // hang up on the rest
		err = fmt.Errorf("requests still under way after %s: %w", stop.Grace, err)
	}
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("serve on %s: %w", ln.Addr(), served))
	}
	return err
}
