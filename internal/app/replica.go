package app

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/keyring"
)

// openReplica opens the standby for lists, if one is configured and this process serves.
func (a *App) openReplica(ctx context.Context) (err error) {
	url := a.cfg.DatabaseReadURL.Reveal()
	if url == "" || !a.serves() {
		return nil
	}
	a.replica, err = postgres.OpenReplica(ctx, postgres.ReplicaParams{
		URL: url, Primary: a.api, MaxConns: poolSize(a.cfg, url), AppName: keyring.SessionName("lists", a.process), Sockets: a.sockets, Log: a.log,
	})
	return err
}

// poolSize is the configured one, unless the URL has its own (0).
func poolSize(cfg *config.Config, url string) int32 {
	if strings.Contains(url, "pool_max_conns=") {
		return 0
	}
	return int32(cfg.DatabasePoolSize) //nolint:gosec // at most 1000
}

// lists reads lists that may be so old. People expect to see their last act: 0 for them.
func (a *App) lists(staleness time.Duration) postgres.Lists {
	if a.replica == nil {
		return postgres.Primary{DB: a.api}
	}
	return postgres.Reader{Replica: a.replica, Staleness: staleness}
}

// replicaProblem is for the console: whether there is a replica, and why lists are not
// read from it.
func (a *App) replicaProblem() (configured bool, problem postgres.ReplicaProblem) {
	if a.replica == nil {
		return false, ""
	}
	return true, a.replica.State().Problem
}

// openPools are the pools that there are now, by the name in metrics.
func (a *App) openPools() map[string]*pgxpool.Pool {
	pools := map[string]*pgxpool.Pool{"api": a.api, "worker": a.work}
	if a.replica != nil && a.replica.Pool() != nil {
		pools["lists"] = a.replica.Pool()
	}
	return pools
}

// replicaMetrics read the state of the replica when they are scraped.
type replicaMetrics struct {
	replica          *postgres.Replica // may be nil
	reads, used, lag *prometheus.Desc
}

// measureReplica registers the metrics of the replica. They have no values without one.
func (a *App) measureReplica() {
	a.registry.MustRegister(&replicaMetrics{
		replica: a.replica,
		reads:   prometheus.NewDesc("connectlink_database_list_reads_total", "Reads of lists and searches, by the server that answered: replica, primary.", []string{"server"}, nil),
		used:    prometheus.NewDesc("connectlink_database_replica_used", "1 while lists are read from the replica, 0 while they are read from the primary.", nil, nil),
		lag:     prometheus.NewDesc("connectlink_database_replica_lag_seconds", "How old the replica's data is at most.", nil, nil),
	})
}

// Describe implements prometheus.Collector.
func (m *replicaMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.reads, m.used, m.lag} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *replicaMetrics) Collect(ch chan<- prometheus.Metric) {
	if m.replica == nil {
		return
	}
	onReplica, onPrimary := m.replica.Counts()
	ch <- prometheus.MustNewConstMetric(m.reads, prometheus.CounterValue, float64(onReplica), "replica")
	ch <- prometheus.MustNewConstMetric(m.reads, prometheus.CounterValue, float64(onPrimary), "primary")
	s := m.replica.State()
	used := 0.0
	if s.Problem == "" {
		used = 1
	}
	ch <- prometheus.MustNewConstMetric(m.used, prometheus.GaugeValue, used)
	ch <- prometheus.MustNewConstMetric(m.lag, prometheus.GaugeValue, s.Lag.Seconds())
}
