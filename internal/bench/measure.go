package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/processtest"
)

// plainPart measures the plain transaction and appends its rate.
func (r *rig) plainPart(ctx context.Context, b *Benchmark, clients int, rates *[]float64) func() error {
	return func() error {
		rate, used, err := r.plain(ctx, clients)
		if err != nil {
			return err
		}
		*rates = append(*rates, rate)
		b.use("the plain transaction", used, false)
		return nil
	}
}

// acceptMode is a mode in which accepting is measured, with the bounds of its ratio
// to the plain transaction.
type acceptMode struct {
	role, name string
	floor, aim float64
}

// accept: creates a second through the whole API at 64 clients, with and without
// dispatch in the same process.
func (r *rig) accept(ctx context.Context, b *Benchmark, round int) error {
	var plains []float64
	results := map[string]trialled{}
	modes := []acceptMode{{roleAll, "dispatch running", 1.2, 2}, {roleAPI, "accept only", 1.5, 2.5}}
	name := func(p *program, m acceptMode) string { return p.name + ", " + m.name }
	parts := []func() error{r.plainPart(ctx, b, 64, &plains)}
	for _, m := range modes {
		for _, p := range r.programs() {
			parts = append(parts, func() error {
				out, err := r.try(ctx, trial{program: p, role: m.role, load: load{clients: 64, length: r.options.Length}, warm: r.options.Length / 4})
				if err != nil {
					return err
				}
				results[name(p, m)] = out
				b.use(name(p, m), out.use, false)
				return r.sendDue(ctx, p)
			})
		}
	}
	if err := inTurn(round, append(parts, r.plainPart(ctx, b, 64, &plains))...); err != nil {
		return err
	}
	plain := (plains[0] + plains[1]) / 2
	b.add("the plain transaction", "/s", plain)
	for _, m := range modes {
		for _, p := range r.programs() {
			out := results[name(p, m)]
			b.add(name(p, m), "accepts/s", out.rate())
			ratio := b.add(name(p, m)+" ÷ plain", "", out.rate()/plain)
			if p == r.service {
				ratio.hold(m.floor, m.aim, false)
			}
			b.add(name(p, m)+", p50", "ms", ms(out.latency(0.5)))
			b.add(name(p, m)+", p99", "ms", ms(out.latency(0.99)))
			b.add(name(p, m)+", refused", "%", 100*out.refusedShare())
			if m.role == roleAll {
				sent := float64(len(out.accepted)) / max(out.sent, out.took).Seconds()
				b.add(name(p, m)+", until all were sent", "/s", sent)
				b.add(name(p, m)+", until all were sent ÷ plain", "", sent/plain)
				b.add(name(p, m)+", not sent 10 s later", "", float64(out.late))
				b.add(name(p, m)+", processor time of the process", "ms/invite", out.use.Process)
				b.add(name(p, m)+", processor time of Postgres", "ms/invite", out.use.Postgres)
			}
		}
	}
	return nil
}

// statistics are those that the planner has when a worker starts on a full queue.
type statistics int

const (
	fresh statistics = iota
	idle             // taken when the queue was empty
)

// drain: a full queue, sent by one worker.
func (r *rig) drain(ctx context.Context, b *Benchmark, round int) error {
	var plains []float64
	var freshly, idly, rivers float64
	part := func(p *program, s statistics, name string, into *float64) func() error {
		return func() error {
			rate, used, err := r.drainOnce(ctx, p, s)
			*into = rate
			b.use(name, used, false)
			return err
		}
	}
	parts := []func() error{
		r.plainPart(ctx, b, 64, &plains),
		part(r.service, fresh, "this service, fresh statistics", &freshly),
	}
	if r.river != nil {
		parts = append(parts, part(r.river, fresh, "River prototype", &rivers))
	}
	parts = append(parts, part(r.service, idle, "this service, statistics of an idle queue", &idly), r.plainPart(ctx, b, 64, &plains))
	if err := inTurn(round, parts...); err != nil {
		return err
	}
	plain := (plains[0] + plains[1]) / 2
	b.add("the plain transaction", "/s", plain)
	b.add("this service, fresh statistics", "deliveries/s", freshly)
	b.add("this service, statistics of an idle queue", "deliveries/s", idly)
	b.add("idle ÷ fresh statistics", "", idly/freshly).hold(0.9, 1, false)
	b.add("this service ÷ plain", "", freshly/plain)
	if r.river != nil {
		b.add("River prototype", "deliveries/s", rivers)
		b.add("this service ÷ River", "", freshly/rivers).hold(0.6, 1, false)
	}
	return nil
}

// drainLimit bounds a drain that does not get anywhere: its rate is then taken as
// far as it got.
const drainLimit = 3 * time.Minute

// drainOnce fills the queue of a program, whose planner has these statistics, and
// measures how fast a worker empties it.
func (r *rig) drainOnce(ctx context.Context, p *program, s statistics) (rate float64, used usage, err error) {
	if p == r.service {
		defer func() {
			err = errors.Join(err, r.exec(ctx, p.database, `ALTER TABLE deliveries RESET (autovacuum_enabled)`))
		}()
		if err := r.exec(ctx, p.database, `ALTER TABLE deliveries SET (autovacuum_enabled = off)`); err != nil {
			return 0, usage{}, err
		}
	}
	if err := r.exec(ctx, p.database, `VACUUM ANALYZE`); err != nil {
		return 0, usage{}, err
	}
	accepted, err := r.fill(ctx, p, r.options.Due)
	if err != nil {
		return 0, usage{}, err
	}
	if s == fresh {
		if err := r.exec(ctx, p.database, `ANALYZE`); err != nil {
			return 0, usage{}, err
		}
	}
	worker, err := p.start(ctx, r.dir, roleWorker)
	if err != nil {
		return 0, usage{}, err
	}
	stop := onceFunc(worker.stop)
	defer stop()
	m, err := r.newMeter(ctx, worker.cmd.Process.Pid)
	if err != nil {
		return 0, usage{}, err
	}
	begun := time.Now()
	all := func() bool { return r.vendors.sent.Load() >= int64(accepted) }
	if err := await(ctx, func() bool { return all() || time.Since(begun) > drainLimit }); err != nil {
		return 0, usage{}, err
	}
	sent := r.vendors.sent.Load()
	if sent < 2 {
		return 0, usage{}, fmt.Errorf("%s sent %d of %d in %s: %s", p.name, sent, accepted, time.Since(begun), processtest.LastLines(worker.log))
	}
	rate = float64(sent) / time.Duration(r.vendors.lastAt.Load()-r.vendors.firstAt.Load()).Seconds()
	if err := m.pause(ctx); err != nil {
		return 0, usage{}, err
	}
	if !all() { // the rest is not measured
		if err := r.exec(ctx, p.database, `ANALYZE`); err != nil {
			return 0, usage{}, err
		}
	}
	if err := r.awaitFinished(ctx, p); err != nil {
		return 0, usage{}, err
	}
	stop()
	if used, err = m.finish(ctx, int(sent)); err != nil {
		return 0, usage{}, err
	}
	return rate, used, r.checkDoubled()
}

// latency: from the answer to a create to the provider's being called, at 50/s,
// and the cost of an invite.
func (r *rig) latency(ctx context.Context, b *Benchmark, round int) error {
	results := map[*program]trialled{}
	var parts []func() error
	for _, p := range r.programs() {
		parts = append(parts, func() error {
			out, err := r.try(ctx, trial{
				program: p, role: roleAll, load: load{clients: 16, length: 2 * r.options.Length, rate: 50},
				warm: r.options.Length / 4, // connections and caches
			})
			results[p] = out
			b.use(p.name, out.use, true)
			return err
		})
	}
	if err := inTurn(round, parts...); err != nil {
		return err
	}
	for _, p := range r.programs() {
		out := results[p]
		b.add(p.name+", p50", "ms", ms(quantile(out.calls, 0.5)))
		b.add(p.name+", p99", "ms", ms(quantile(out.calls, 0.99)))
		b.add(p.name+", processor time of the process", "ms/invite", out.use.Process)
		b.add(p.name+", processor time of Postgres", "ms/invite", out.use.Postgres)
		b.add(p.name+", commits", "/invite", out.use.Writes)
	}
	if r.river == nil {
		return nil
	}
	ours, river := results[r.service], results[r.river]
	for _, q := range []struct {
		name string
		of   float64
	}{{"p50", 0.5}, {"p99", 0.99}} {
		b.add("this service ÷ River, "+q.name, "", float64(quantile(ours.calls, q.of))/float64(max(quantile(river.calls, q.of), 1))).hold(1, 0.65, true)
	}
	cost := func(t trialled) float64 { return t.use.Process + t.use.Postgres }
	b.add("this service ÷ River, processor time of the process", "", ours.use.Process/max(river.use.Process, 0.01))
	b.add("this service ÷ River, processor time with Postgres", "", cost(ours)/max(cost(river), 0.01)).hold(1.3, 1, true)
	return nil
}

// alone: one create at a time, against one transaction at a time.
func (r *rig) alone(ctx context.Context, b *Benchmark, _ int) error {
	var plains []float64
	if err := r.plainPart(ctx, b, 1, &plains)(); err != nil {
		return err
	}
	out, err := r.try(ctx, trial{program: r.service, role: roleAll, load: load{clients: 1, length: r.options.Length}, warm: r.options.Length / 4})
	if err != nil {
		return err
	}
	b.use(r.service.name, out.use, false)
	mint, err := r.mintLatency(ctx)
	if err != nil {
		return err
	}
	plain := 1000 / plains[0]
	p50 := ms(out.latency(0.5))
	b.add("the plain transaction, mean", "ms", plain)
	b.add("a call to the stub Pipedream", "ms", ms(mint))
	b.add("accept, p50", "ms", p50)
	b.add("accept without the call ÷ plain", "", (p50-ms(mint))/plain)
	return nil
}

// mintLatency is the time of a call to the stub Pipedream by a Go program.
func (r *rig) mintLatency(ctx context.Context) (time.Duration, error) {
	client := &http.Client{}
	defer client.CloseIdleConnections()
	var all []time.Duration
	for range 300 {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.vendors.url()+"/v1/connect/proj_1/tokens", strings.NewReader(`{"external_user_id":"u"}`))
		if err != nil {
			return 0, err
		}
		begun := time.Now()
		resp, err := client.Do(req)
		if err != nil {
			return 0, err
		}
		_ = resp.Body.Close()
		all = append(all, time.Since(begun))
	}
	return quantile(all, 0.5), nil
}

// memory: a warm start to /readyz, and the anonymous memory of the program at
// rest and under 64 clients.
func (r *rig) memory(ctx context.Context, b *Benchmark, round int) error {
	var parts []func() error
	for _, p := range r.programs() {
		parts = append(parts, func() error {
			rest, err := r.restingMemory(ctx, p)
			if err != nil {
				return err
			}
			out, err := r.try(ctx, trial{program: p, role: roleAll, load: load{clients: 64, length: r.options.Length}})
			if err != nil {
				return err
			}
			b.use(p.name, out.use, false)
			b.add(p.name+", exec to ready", "ms", ms(out.started))
			start := b.add(p.name+", memory at start", "MiB", rest)
			if p == r.service {
				start.hold(30, 15, true)
			}
			peak := b.add(p.name+", memory at 64 clients, highest", "MiB", out.memory)
			if p == r.service {
				peak.hold(60, 40, true)
			}
			return r.sendDue(ctx, p)
		})
	}
	return inTurn(round, parts...)
}

// restingMemory starts a program and measures its memory 2 s later, when memory
// that only the start needed may be given back.
func (r *rig) restingMemory(ctx context.Context, p *program) (float64, error) {
	s, err := p.start(ctx, r.dir, roleAll)
	if err != nil {
		return 0, err
	}
	defer s.stop()
	select {
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	case <-time.After(min(2*time.Second, r.options.Length)):
	}
	return s.memory(), nil
}

// slowProvider: a provider that takes 200 ms must not slow accepting down.
func (r *rig) slowProvider(ctx context.Context, b *Benchmark, round int) error {
	const delay = 200 * time.Millisecond
	defer r.vendors.delay.Store(0)
	p99 := map[time.Duration]float64{}
	part := func(d time.Duration, name string) func() error {
		return func() error {
			r.vendors.delay.Store(int64(d))
			out, err := r.try(ctx, trial{
				program: r.service, role: roleAll, load: load{clients: 32, length: r.options.Length, rate: 100}, warm: r.options.Length / 4,
			})
			p99[d] = ms(out.latency(0.99))
			b.use(name, out.use, true)
			return err
		}
	}
	if err := inTurn(round, part(0, "a fast provider"), part(delay, "a slow provider")); err != nil {
		return err
	}
	b.add("accept p99, provider of 0 ms", "ms", p99[0])
	b.add("accept p99, provider of 200 ms", "ms", p99[delay])
	b.add("200 ms ÷ 0 ms", "", p99[delay]/max(p99[0], 0.001)).hold(1.5, 1.1, true)
	return nil
}

// read: lists and searches by one client, among all invites that were made so far.
func (r *rig) read(ctx context.Context, b *Benchmark, round int) error {
	s, err := r.service.start(ctx, r.dir, roleAll)
	if err != nil {
		return err
	}
	defer s.stop()
	made, err := r.offer(ctx, s, roleAll, load{clients: 8, length: time.Minute, requests: 50}) // something to find
	if err != nil {
		return err
	}
	known := made.accepted
	invites, err := r.count(ctx, r.service.database, `SELECT count(*) FROM invites`)
	if err != nil {
		return err
	}
	part := func(name string, request func(int) []byte) func() error {
		return func() error {
			m, err := r.newMeter(ctx, s.cmd.Process.Pid)
			if err != nil {
				return err
			}
			l := load{base: s.base, clients: 1, length: r.options.Length, status: http.StatusOK, request: request}
			out, err := l.run(ctx)
			if err != nil {
				return err
			}
			if err := m.pause(ctx); err != nil {
				return err
			}
			used, err := m.finish(ctx, len(out.accepted))
			b.use(name, used, false)
			b.add(name+", p50", "ms", ms(out.latency(0.5)))
			b.add(name+", p99", "ms", ms(out.latency(0.99)))
			b.add(name+", refused", "%", 100*out.refusedShare())
			return err
		}
	}
	b.add("invites", "", float64(invites))
	return inTurn(round,
		part("list", func(int) []byte { return httpRequest("GET /v1/invites?limit=25", r.key, "", "") }),
		part("search by address", func(n int) []byte {
			body := fmt.Sprintf(`{"recipient":"%d%s"}`, known[n%len(known)].number, loadDomain)
			return httpRequest("POST /v1/invites/search", r.key, "", body)
		}))
}
