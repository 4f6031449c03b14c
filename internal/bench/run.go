package bench

import (
	"context"
	"fmt"
	"time"
)

// sendWithin is how long after a load its messages may be on their way.
const sendWithin = 10 * time.Second

// trial is one program under one load.
type trial struct {
	program *program
	role    string
	load    load
	warm    time.Duration // of the same load, before it is measured
}

// trialled is the result of a trial.
type trialled struct {
	outcome

	use     usage
	calls   []time.Duration // from the answer to a create to the call of the provider
	late    int             // accepted and not sent within sendWithin
	sent    time.Duration   // from the first request to the last call
	memory  float64         // highest anonymous memory in MiB
	started time.Duration   // from exec to readiness
}

// try starts a program, makes a load and waits until its messages are sent.
func (r *rig) try(ctx context.Context, t trial) (trialled, error) {
	s, err := t.program.start(ctx, r.dir, t.role)
	if err != nil {
		return trialled{}, err
	}
	stop := onceFunc(s.stop)
	defer stop()
	if t.warm > 0 {
		warm := t.load
		warm.length = t.warm
		if _, err := r.offer(ctx, s, t.role, warm); err != nil {
			return trialled{}, err
		}
	}
	m, err := r.newMeter(ctx, s.cmd.Process.Pid)
	if err != nil {
		return trialled{}, err
	}
	out, err := r.offer(ctx, s, t.role, t.load)
	if err != nil {
		return trialled{}, err
	}
	if err := m.pause(ctx); err != nil {
		return trialled{}, err
	}
	out.memory, out.started = s.peak(), s.ready
	stop()
	out.use, err = m.finish(ctx, len(out.accepted))
	return out, err
}

// onceFunc is sync.OnceFunc without its handling of panics.
func onceFunc(f func()) func() {
	done := false
	return func() {
		if !done {
			done = true
			f()
		}
	}
}

// offer makes a load. If the role sends, it waits until every accepted message
// was sent, for sendWithin.
func (r *rig) offer(ctx context.Context, s *process, role string, l load) (trialled, error) {
	l.base, l.first = s.base, r.next
	l.request = func(n int) []byte { return createRequest(r.key, n) }
	r.vendors.expect(r.next + 1_000_000)
	begun := time.Now()
	made, err := l.run(ctx)
	out := trialled{outcome: made}
	for _, a := range out.accepted {
		r.next = max(r.next, a.number+1)
	}
	if err != nil || role == roleAPI {
		return out, err
	}
	deadline := time.Now().Add(sendWithin)
	if err := await(ctx, func() bool { return r.vendors.sent.Load() >= int64(len(out.accepted)) || time.Now().After(deadline) }); err != nil {
		return out, err
	}
	for _, a := range out.accepted {
		at, ok := r.vendors.at(a.number)
		if !ok {
			out.late++
			continue
		}
		// A client that is late to read its answer sees the call before it.
		out.calls = append(out.calls, max(at.Sub(a.at), time.Microsecond))
	}
	out.sent = time.Unix(0, r.vendors.lastAt.Load()).Sub(begun)
	return out, r.checkDoubled()
}

// checkDoubled fails if the provider was called twice for one message.
func (r *rig) checkDoubled() error {
	if n := r.vendors.doubled.Load(); n > 0 {
		return fmt.Errorf("%d messages were sent twice", n)
	}
	return nil
}

// await waits until ok reports true.
func await(ctx context.Context, ok func() bool) error {
	every := time.NewTicker(time.Millisecond)
	defer every.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-every.C:
		}
	}
	return nil
}

// fill makes n deliveries that are due, by a process that sends nothing.
func (r *rig) fill(ctx context.Context, p *program, n int) (accepted int, err error) {
	s, err := p.start(ctx, r.dir, roleAPI)
	if err != nil {
		return 0, err
	}
	defer s.stop()
	out, err := r.offer(ctx, s, roleAPI, load{clients: 64, length: time.Hour, requests: n})
	return len(out.accepted), err
}

// sendDue finishes the deliveries that are open, if any, by a worker.
func (r *rig) sendDue(ctx context.Context, p *program) error {
	if n, err := r.count(ctx, p.database, p.open); err != nil || n == 0 {
		return err
	}
	s, err := p.start(ctx, r.dir, roleWorker)
	if err != nil {
		return err
	}
	defer s.stop()
	return r.awaitFinished(ctx, p)
}

// awaitFinished waits until no delivery of a program is open.
func (r *rig) awaitFinished(ctx context.Context, p *program) error {
	every := time.NewTicker(50 * time.Millisecond)
	defer every.Stop()
	for {
		n, err := r.count(ctx, p.database, p.open)
		if err != nil || n == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-every.C:
		}
	}
}
