package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// weather is what a network does to what passes.
type weather int

const (
	fair   weather = iota
	silent         // nothing arrives until the weather is fair again; neither end is told
	broken         // connections are reset, new ones are refused
)

// proxy is the network between a worker and one of its peers. Bytes inside it
// when it falls silent arrive late, as by retransmission, unless their sender
// has reset the connection meanwhile.
type proxy struct {
	listener net.Listener

	mu              sync.Mutex
	network, target string
	moves           int // how often the address moved
	now             weather
	change          chan struct{} // closed at every change of weather
	conns           map[net.Conn]struct{}
}

func newProxy(network, target string) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: l, network: network, target: target, change: make(chan struct{}), conns: make(map[net.Conn]struct{})}
	go p.run()
	return p, nil
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) close() {
	_ = p.listener.Close()
	p.set(broken)
}

// set changes the weather.
func (p *proxy) set(w weather) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = w
	close(p.change)
	p.change = make(chan struct{})
	if w == broken {
		for c := range p.conns {
			resetConn(c)
		}
	}
}

// move redirects the address, as when it is taken over by another machine: bytes
// on their way to the old one are lost, and neither end of such a connection is
// told.
func (p *proxy) move(network, target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.network, p.target = network, target
	p.moves++
	p.now = fair
	close(p.change)
	p.change = make(chan struct{})
}

// way is where a new connection leads.
func (p *proxy) way() (network, target string, moves int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.network, p.target, p.moves
}

// resetConn ends a connection without a farewell.
func resetConn(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}

func (p *proxy) look() (weather, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now, p.change
}

func (p *proxy) keep(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = struct{}{}
	if p.now == broken {
		resetConn(c)
	}
}

func (p *proxy) drop(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	resetConn(c)
}

// release lets a connection end in order: bytes on their way arrive.
func (p *proxy) release(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	_ = c.Close()
}

func (p *proxy) run() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.carry(c)
	}
}

// carry joins two connections until either of them is reset, or both have ended.
func (p *proxy) carry(near net.Conn) {
	leave := p.drop
	p.keep(near)
	defer func() { leave(near) }()
	ended := make(chan struct{})
	defer close(ended)
	if now, change := p.look(); now != fair {
		// On a real network it would not have come about: nothing that is written
		// on it may ever arrive.
		<-change
		return
	}
	network, target, moves := p.way()
	far, err := net.DialTimeout(network, target, 5*time.Second)
	if err != nil {
		return
	}
	p.keep(far)
	defer func() { leave(far) }()
	finished := make(chan bool, 2)
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		go func() { finished <- p.pump(way[0], way[1], moves, ended) }()
	}
	for range 2 {
		if !<-finished {
			return
		}
	}
	leave = p.release
}

// passable waits until something may pass on a connection made after so many
// moves; false when the connection ended first.
func (p *proxy) passable(moves int, ended <-chan struct{}) bool {
	for {
		p.mu.Lock()
		now, change, left := p.now, p.change, p.moves != moves
		p.mu.Unlock()
		switch {
		case now == broken:
			return false
		case now == fair && !left:
			return true
		}
		select {
		case <-ended:
			return false
		case <-change:
		}
	}
}

// pump passes on what comes from one side, and its end; it reports whether all of that
// arrived. It reads on while the network is silent, so that it notices a sender that
// resets: then what it holds is lost.
func (p *proxy) pump(from, to net.Conn, moves int, ended <-chan struct{}) bool {
	type chunk struct {
		data []byte
		err  error
	}
	chunks := make(chan chunk, 1024)
	gone := make(chan struct{})
	go func() {
		for {
			buf := make([]byte, 16<<10)
			n, err := from.Read(buf)
			if err != nil && !errors.Is(err, io.EOF) {
				close(gone)
				return
			}
			select {
			case chunks <- chunk{buf[:n], err}:
			case <-ended:
				return
			}
			if err != nil {
				return
			}
		}
	}()
	stop := make(chan struct{})
	defer close(stop)
	over := make(chan struct{})
	go func() {
		defer close(over)
		select {
		case <-ended:
		case <-gone:
		case <-stop:
		}
	}()
	for {
		var c chunk
		select {
		case <-over:
			return false
		case c = <-chunks:
		}
		if !p.passable(moves, over) {
			return false
		}
		if _, err := to.Write(c.data); err != nil {
			return false
		}
		if c.err != nil { // io.EOF
			half, ok := to.(interface{ CloseWrite() error })
			return ok && half.CloseWrite() == nil
		}
	}
}

// throughProxy gives a database's URL that leads by a proxy, and where that proxy is
// to lead.
func throughProxy(raw string) (network, target string, by func(addr string) (string, error), err error) {
	cfg, err := pgx.ParseConfig(raw)
	if err != nil {
		return "", "", nil, fmt.Errorf("read the database's URL: %w", err)
	}
	network, target = "tcp", net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port)))
	if cfg.Host != "" && cfg.Host[0] == '/' {
		network, target = "unix", cfg.Host+"/.s.PGSQL."+strconv.Itoa(int(cfg.Port))
	}
	return network, target, func(addr string) (string, error) {
		u, err := url.Parse(raw)
		if err != nil || u.Scheme == "" {
			return "", fmt.Errorf("the database's URL must be one to be led by a proxy")
		}
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			return "", err
		}
		q := u.Query()
		q.Set("host", host)
		q.Set("port", port)
		q.Set("sslmode", "disable")
		u.RawQuery = q.Encode()
		return u.String(), nil
	}, nil
}

// networks are those of one worker.
type networks struct{ database, vendors *proxy }

// connect lays a worker's networks.
func (r *run) connect(c childConfig, slot int) (childConfig, error) {
	network, target, by, err := throughProxy(r.o.URL)
	if err != nil {
		return c, err
	}
	if r.nets[slot].database == nil {
		if r.nets[slot].database, err = newProxy(network, target); err != nil {
			return c, err
		}
		sinkURL, err := url.Parse(r.sink)
		if err != nil {
			return c, err
		}
		if r.nets[slot].vendors, err = newProxy("tcp", sinkURL.Host); err != nil {
			return c, err
		}
	}
	c.SinkURL = "http://" + r.nets[slot].vendors.addr()
	c.URL, err = by(r.nets[slot].database.addr())
	return c, err
}

// part cuts a worker off from the database, the vendors or both, in silence or
// with a bang, for longer than any of its leases.
func (r *run) part(ctx, watching context.Context, slot, n int) error {
	from := []string{"database", "vendors", "both"}[n%3]
	how := []weather{silent, broken}[n/3%2]
	w := r.workers[slot]
	owner, err := r.awaitWork(ctx, w)
	if err != nil {
		return err
	}
	nets := r.nets[slot]
	if from != "vendors" {
		nets.database.set(how)
		// Cut off from the vendors alone it is alive, and keeps what it has.
		if err := r.measure(watching, owner, &r.report.PartedOrphans, &r.report.WorstPartedS); err != nil {
			return err
		}
	}
	if from != "database" {
		nets.vendors.set(how)
	}
	longest := max(r.o.Knobs.Lease, r.o.Knobs.CallDeadline+3*time.Second)
	waitFor(ctx, longest+time.Duration(r.rnd.Int64N(int64(2*time.Second))))
	nets.database.set(fair)
	nets.vendors.set(fair)
	r.report.Partitions++
	return ctx.Err()
}
