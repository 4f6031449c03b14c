package postgres

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// ListenerParams describes a Listener.
type ListenerParams struct {
	URL string // direct, not through a transaction pooler
	Log *slog.Logger
	// Sockets open its connection; nil makes a set of its own.
	Sockets *Sockets
	// Heartbeat is how long the connection may be silent before the database
	// is asked for a sign of life; 5 s. With 3 s for the answer it bounds how
	// long a silently dead connection goes unnoticed.
	Heartbeat time.Duration
}

// Listener receives notifications on one connection for a whole process.
type Listener struct {
	url       string
	sockets   *Sockets
	log       *slog.Logger
	heartbeat time.Duration

	mu          sync.Mutex
	subscribers []*subscriber
	interrupt   context.CancelFunc // ends the wait, so that a new channel is taken up
}

type subscriber struct {
	channel string
	out     chan string
	live    bool // told that the present connection listens for it
}

// NewListener makes a Listener; nothing arrives before Run.
func NewListener(p ListenerParams) *Listener {
	return &Listener{url: p.URL, sockets: p.Sockets, log: p.Log, heartbeat: orDefault(p.Heartbeat, 5*time.Second)}
}

// buffer is how many payloads wait for a slow subscriber.
const buffer = 256

// Listen subscribes to a channel for the Listener's life; it may be called
// before and during Run. Each payload arrives as it was given to Notify.
//
// An empty payload means "something may have been missed, look at everything".
// It comes when listening has begun, after every lost connection, and in place
// of what a slow subscriber did not take in time.
func (l *Listener) Listen(channel string) <-chan string {
	s := &subscriber{channel: channel, out: make(chan string, buffer)}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.subscribers = append(l.subscribers, s)
	if l.interrupt != nil {
		l.interrupt()
	}
	return s.out
}

// Run receives until ctx ends, reconnecting as often as it takes; it returns
// nil. The channels stay open: their readers end by their own contexts.
func (l *Listener) Run(ctx context.Context) error {
	for try := 0; ctx.Err() == nil; try++ {
		conn, err := DialSession(ctx, SessionParams{URL: l.url, Name: "connectlink listener", Sockets: l.sockets})
		if err == nil {
			try = 0
			err = l.serve(ctx, conn)
			hangUp(ctx, conn)
			l.disconnected()
		}
		if ctx.Err() != nil {
			break
		}
		if try == 0 {
			l.log.WarnContext(ctx, "listening is interrupted; polling carries on", "error", Translate(err))
		}
		if !waitFor(ctx, retryDelay(try)) {
			break
		}
	}
	return nil
}

func (l *Listener) serve(ctx context.Context, conn *pgx.Conn) error {
	listening := map[string]bool{}
	for {
		wait, cancel := l.waitContext(ctx)
		if err := l.takeUp(ctx, conn, listening); err != nil {
			cancel()
			return err
		}
		note, err := awaitNotification(wait, conn, l.heartbeat)
		interrupted := wait.Err() != nil
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case note != nil:
			l.deliver(note.Channel, note.Payload)
		case err != nil && !(interrupted && !conn.IsClosed()):
			return err
		}
	}
}

// waitContext is ended by Listen. It is made before the channels are looked
// at, so that a Listen in between is not overlooked.
func (l *Listener) waitContext(ctx context.Context) (context.Context, context.CancelFunc) {
	wait, cancel := context.WithCancel(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.interrupt = cancel
	return wait, cancel
}

// takeUp issues LISTEN for new channels and tells their subscribers.
func (l *Listener) takeUp(ctx context.Context, conn *pgx.Conn, listening map[string]bool) error {
	for {
		s := l.nextNew()
		if s == nil {
			return nil
		}
		if !listening[s.channel] {
			inner, cancel := context.WithTimeout(ctx, answerTimeout)
			_, err := conn.Exec(inner, "LISTEN "+pgx.Identifier{s.channel}.Sanitize())
			cancel()
			if err != nil {
				return err
			}
			listening[s.channel] = true
		}
		l.mu.Lock()
		s.live = true
		l.mu.Unlock()
		s.give("")
	}
}

func (l *Listener) nextNew() *subscriber {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.subscribers {
		if !s.live {
			return s
		}
	}
	return nil
}

func (l *Listener) disconnected() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.subscribers {
		s.live = false
	}
}

func (l *Listener) deliver(channel, bundle string) {
	l.mu.Lock()
	var to []*subscriber
	for _, s := range l.subscribers {
		if s.channel == channel {
			to = append(to, s)
		}
	}
	l.mu.Unlock()
	for _, s := range to {
		for payload := range strings.SplitSeq(bundle, separator) {
			s.give(payload)
		}
	}
}

// give never waits. Run is the only sender, so room made here stays free until
// it is used here.
func (s *subscriber) give(payload string) {
	select {
	case s.out <- payload:
		return
	default:
	}
	select {
	case <-s.out: // an older one gives way to "look at everything"
	default:
	}
	s.out <- ""
}
