package bench

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// meter takes the machine's and the server's counters before and after a load.
type meter struct {
	r      *rig
	pid    int // of the measured process; 0: none
	before counters
	after  counters
	wal    flushes
}

// counters are values that only rise.
type counters struct {
	at                time.Time
	busy, all         time.Duration // of the machine's processors
	process, postgres time.Duration
	generator         time.Duration // this process (clients and vendors) and its children that ended (pgbench)
	writes            int64         // transactions that wrote
}

// flushes are those of the write-ahead log.
type flushes struct {
	count int64
	took  time.Duration
}

// usage is the cost of a load.
type usage struct {
	Busy      float64 // share of the machine's processor time, by all programs
	Others    float64 // the part of it that no program of the measurement used
	Flushing  float64 // share of the time in which the server waited for the disk to flush its log
	Flushes   float64 // a second
	Writes    float64 // transactions that wrote, a unit
	WriteRate float64 // and a second
	Process   float64 // processor time of the measured process in ms a unit
	Postgres  float64 // processor time of the server in ms a unit
}

func (r *rig) newMeter(ctx context.Context, pid int) (*meter, error) {
	m := &meter{r: r, pid: pid}
	var err error
	if m.wal, err = r.flushes(ctx); err != nil {
		return nil, err
	}
	m.before, err = m.read(ctx)
	return m, err
}

func (m *meter) read(ctx context.Context) (counters, error) {
	// A snapshot's end is the number of the next transaction that writes: exact,
	// at once, and for all databases of the server.
	writes, err := m.r.count(ctx, m.r.pg.URL(), `SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint`)
	self := statOf(strconv.Itoa(os.Getpid()))
	c := counters{at: time.Now(), writes: writes, postgres: CPUTime(m.r.pg.PID(), true), generator: self.own + self.ended}
	if m.pid != 0 {
		c.process = CPUTime(m.pid, false)
	}
	c.busy, c.all = machineTime()
	return c, err
}

// pause ends the time that is measured. It is called while the process runs.
func (m *meter) pause(ctx context.Context) (err error) {
	m.after, err = m.read(ctx)
	return err
}

// finish returns the usage of a load of so many units. It is called after the end
// of the process: a session of the server reports its flushes late, and at its
// end at the latest.
func (m *meter) finish(ctx context.Context, units int) (usage, error) {
	wal, err := m.r.flushes(ctx)
	if err != nil {
		return usage{}, err
	}
	n := float64(max(units, 1))
	took := m.after.at.Sub(m.before.at).Seconds()
	ours := m.after.process - m.before.process + m.after.postgres - m.before.postgres + m.after.generator - m.before.generator
	writes := float64(m.after.writes - m.before.writes)
	u := usage{
		Flushes: float64(wal.count-m.wal.count) / took, Flushing: min((wal.took-m.wal.took).Seconds()/took, 1),
		Writes: writes / n, WriteRate: writes / took,
		Process: ms(m.after.process-m.before.process) / n, Postgres: ms(m.after.postgres-m.before.postgres) / n,
	}
	if all := m.after.all - m.before.all; all > 0 {
		u.Busy = float64(m.after.busy-m.before.busy) / float64(all)
		u.Others = max(u.Busy-ours.Seconds()/(took*float64(runtime.NumCPU())), 0)
	}
	return u, nil
}

// flushes reads the server's counters of the write-ahead log.
func (r *rig) flushes(ctx context.Context) (flushes, error) {
	conn, err := pgx.Connect(ctx, r.pg.URL())
	if err != nil {
		return flushes{}, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var version int
	if err := conn.QueryRow(ctx, `SELECT current_setting('server_version_num')::int`).Scan(&version); err != nil {
		return flushes{}, err
	}
	sql := `SELECT wal_sync, wal_sync_time FROM pg_stat_wal`
	if version >= 180000 {
		sql = `SELECT coalesce(sum(fsyncs), 0)::bigint, coalesce(sum(fsync_time), 0) FROM pg_stat_io WHERE object = 'wal'`
	}
	var f flushes
	var took float64
	err = conn.QueryRow(ctx, sql).Scan(&f.count, &took)
	f.took = time.Duration(took * float64(time.Millisecond))
	return f, err
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
