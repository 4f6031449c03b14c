package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/connectlink/connectlink/internal/web"
)

// openHealth listens on the address for orchestrators and scrapers, where one
// is configured. It is apart from the other listener so that a worker, which
// has none, can be seen too, and so that it need not be reachable from outside.
func (a *App) openHealth() error {
	if a.cfg.MetricsListen == "" {
		return nil
	}
	var err error
	if a.health, err = net.Listen("tcp", a.cfg.MetricsListen); err != nil {
		return fmt.Errorf("listen on %s for metrics: %w", a.cfg.MetricsListen, err)
	}
	return nil
}

// MetricsURL is that address; "" when there is none.
func (a *App) MetricsURL() string {
	if a.health == nil {
		return ""
	}
	return "http://" + reachableAddr(a.health.Addr())
}

func (a *App) healthRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { answerHealth(w, http.StatusOK) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := a.ready(r.Context()); err != nil {
			a.log.WarnContext(r.Context(), "not ready", "err", err)
			answerHealth(w, http.StatusServiceUnavailable)
			return
		}
		answerHealth(w, http.StatusOK)
	})
	mux.Handle("GET /metrics", web.MetricsHandler(a.registry))
	return mux
}

func answerHealth(w http.ResponseWriter, status int) {
	word := "ok"
	if status != http.StatusOK {
		word = "unavailable"
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"status":%q}`+"\n", word)
}

// errIdle is a worker that does nothing: it lacks its lock, or no claim
// succeeded lately.
var errIdle = errors.New("no delivery can be claimed: the process lock is not held, or no claim succeeded in the last 10 s")

// errStopping is a process that takes its last requests.
var errStopping = errors.New("the process is stopping")

// ready returns nil when this process should get traffic and does its work, else
// the reason: it is not stopping, the database takes writes, and a process that
// works claims.
func (a *App) ready(ctx context.Context) error {
	if a.stopping.Load() {
		return errStopping
	}
	if err := a.monitor.Writable(ctx); err != nil {
		return err
	}
	if a.runsWorkers() && !a.dispatcher.Working() {
		return errIdle
	}
	if a.runsWorkers() {
		return a.worker.Ready()
	}
	return nil
}
