package grant

import (
	"context"
	"net/netip"
	"runtime"
	"slices"
	"sync"
)

const (
	// maxWaiting bounds the passwords of unknown devices that wait for their
	// comparison. Their wait, and what they hold, stay small; a comparison takes
	// some 30 ms on a processor of its own (BenchmarkComparePassword).
	maxWaiting = 64
	// maxChecking bounds the passwords compared at a time: each takes 19 MiB and a
	// processor, in a process that also sends messages.
	maxChecking = 1
)

// turns admits passwords to their comparison, one at a time. Of those who wait for it at
// most one is of an unknown device, so a known one waits for two comparisons at most, and
// not for a crowd. The unknown ones queue by network, in turn, so a crowd in one network
// delays another network by three comparisons.
type turns struct {
	running chan struct{} // permits

	mu    sync.Mutex
	taken bool // a password of an unknown device is next
	// lines are those who wait behind it, by network; inTurn are the networks with a
	// line, and waiting is the number in all lines.
	lines   map[string][]chan error
	inTurn  []string
	waiting int
}

func newTurns() *turns {
	return &turns{running: make(chan struct{}, maxChecking), lines: map[string][]chan error{}}
}

// networkOf returns the network of a client: the first 24 bits of an IPv4 address and 48 of
// an IPv6 address or network. Another text is a network of its own.
func networkOf(client string) string {
	if p, err := netip.ParsePrefix(client); err == nil {
		client = p.Addr().String()
	}
	a, err := netip.ParseAddr(client)
	if err != nil {
		return client
	}
	a = a.Unmap()
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return client
	}
	return p.String()
}

// wait blocks until a comparison may begin. Errors: ErrBusy, the context's.
func (t *turns) wait(ctx context.Context, known bool, client string) (done func(), err error) {
	if !known {
		if err := t.takeTurn(ctx, networkOf(client)); err != nil {
			return nil, err
		}
		defer t.passTurn()
	}
	select {
	case t.running <- struct{}{}:
		// The comparison's memory is free before the next one begins: the collector
		// alone may let several stand, on a busy machine.
		return func() { runtime.GC(); <-t.running }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// takeTurn blocks until the caller is the next of unknown devices.
func (t *turns) takeTurn(ctx context.Context, network string) error {
	ready, err := t.join(network)
	if ready == nil {
		return err
	}
	select {
	case err := <-ready:
		return err
	case <-ctx.Done():
		if !t.leave(network, ready) && <-ready == nil {
			t.passTurn() // it came at the same moment
		}
		return ctx.Err()
	}
}

// join enters the network's line; the channel is nil if the turn is the caller's at once, or
// with ErrBusy. In a full queue the last of the longest line makes way for a shorter one.
func (t *turns) join(network string) (chan error, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.taken {
		t.taken = true
		return nil, nil
	}
	if t.waiting >= maxWaiting-1 { // one waits with the turn
		longest := slices.MaxFunc(t.inTurn, func(a, b string) int { return len(t.lines[a]) - len(t.lines[b]) })
		line := t.lines[longest]
		if len(line) <= len(t.lines[network])+1 {
			return nil, ErrBusy
		}
		last := line[len(line)-1]
		t.drop(longest, len(line)-1)
		last <- ErrBusy
	}
	ready := make(chan error, 1)
	if len(t.lines[network]) == 0 {
		t.inTurn = append(t.inTurn, network)
	}
	t.lines[network] = append(t.lines[network], ready)
	t.waiting++
	return ready, nil
}

// leave takes a caller out of its line; false means that it was answered already.
func (t *turns) leave(network string, ready chan error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.lines[network], ready)
	if i >= 0 {
		t.drop(network, i)
	}
	return i >= 0
}

// drop removes the ith of a line, and a line that is empty.
func (t *turns) drop(network string, i int) {
	t.lines[network] = slices.Delete(t.lines[network], i, i+1)
	t.waiting--
	if len(t.lines[network]) == 0 {
		delete(t.lines, network)
		t.inTurn = slices.DeleteFunc(t.inTurn, func(n string) bool { return n == network })
	}
}

// passTurn lets the first of the next network go on.
func (t *turns) passTurn() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.inTurn) == 0 {
		t.taken = false
		return
	}
	network := t.inTurn[0]
	first := t.lines[network][0]
	t.inTurn = append(t.inTurn[1:], network)
	t.drop(network, 0)
	first <- nil
}
