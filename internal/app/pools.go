package app

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// poolMetrics read the statistics of the pools when they are scraped.
type poolMetrics struct {
	pools func() map[string]*pgxpool.Pool

	connections, max, waits, waited, abandoned *prometheus.Desc
}

// measurePools registers the metrics of the pools to the database.
func (a *App) measurePools() {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("connectlink_database_pool_"+name, help, append([]string{"pool"}, labels...), nil)
	}
	a.registry.MustRegister(&poolMetrics{
		pools:       a.openPools,
		connections: desc("connections", "Connections to the database by pool and state: used, idle, opening.", "state"),
		max:         desc("max_connections", "How many connections a pool may have."),
		waits:       desc("waits_total", "Acquisitions that found no idle connection."),
		waited:      desc("wait_seconds_total", "Time that those acquisitions waited, opening a connection included."),
		abandoned:   desc("abandoned_total", "Acquisitions that were given up: the caller left, or the wait took too long."),
	})
}

// Describe implements prometheus.Collector.
func (m *poolMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.connections, m.max, m.waits, m.waited, m.abandoned} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *poolMetrics) Collect(ch chan<- prometheus.Metric) {
	for name, pool := range m.pools() {
		s := pool.Stat()
		gauge := func(d *prometheus.Desc, v int32, labels ...string) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), append([]string{name}, labels...)...)
		}
		counter := func(d *prometheus.Desc, v float64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, name)
		}
		gauge(m.connections, s.AcquiredConns(), "used")
		gauge(m.connections, s.IdleConns(), "idle")
		gauge(m.connections, s.ConstructingConns(), "opening")
		gauge(m.max, s.MaxConns())
		counter(m.waits, float64(s.EmptyAcquireCount()))
		counter(m.waited, s.EmptyAcquireWaitTime().Seconds())
		counter(m.abandoned, float64(s.CanceledAcquireCount()))
	}
}
