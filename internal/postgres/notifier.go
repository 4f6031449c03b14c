package postgres

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// NotifierParams describes a Notifier.
type NotifierParams struct {
	URL string // direct, not through a transaction pooler
	Log *slog.Logger
	// Sockets open its connection; nil makes a set of its own.
	Sockets *Sockets
	// Every is the least time between two notifications of a channel; 5 ms.
	Every time.Duration
}

// Notifier tells other processes that something happened, by NOTIFY on a
// connection of its own. A notification is a hint: it can be lost.
type Notifier struct {
	url     string
	sockets *Sockets
	log     *slog.Logger
	every   time.Duration
	wake    chan struct{}

	mu      sync.Mutex
	pending map[string]*bundle
}

// NewNotifier makes a Notifier; nothing is sent before Run.
func NewNotifier(p NotifierParams) *Notifier {
	return &Notifier{
		url: p.URL, sockets: p.Sockets, log: p.Log, every: orDefault(p.Every, 5*time.Millisecond),
		wake: make(chan struct{}, 1), pending: map[string]*bundle{},
	}
}

// separator joins the payloads that wait together; Listener takes them apart.
const separator = "\n"

// maxPayload stays below PostgreSQL's 8000 bytes.
const maxPayload = 7900

// bundle is what waits to be sent on a channel.
type bundle struct {
	seen map[string]bool
	list []string
	size int
	all  bool // too much to list: "look at everything"
}

func (b *bundle) add(payload string) {
	if b.all || b.seen[payload] {
		return
	}
	if payload == "" || strings.Contains(payload, separator) || b.size+len(payload) >= maxPayload {
		*b = bundle{all: true}
		return
	}
	if b.seen == nil {
		b.seen = map[string]bool{}
	}
	b.seen[payload] = true
	b.list = append(b.list, payload)
	b.size += len(payload) + len(separator)
}

// Notify sends payload on channel soon. It never blocks and is safe for
// concurrent use. Payloads of the same moment travel as one notification and
// arrive one by one, each once; an empty payload, or more than fit into one
// notification, arrive as one empty payload: "look at everything".
func (n *Notifier) Notify(channel, payload string) {
	n.mu.Lock()
	b := n.pending[channel]
	if b == nil {
		b = &bundle{}
		n.pending[channel] = b
	}
	b.add(payload)
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// Run sends until ctx ends, reconnecting as often as it takes; it returns nil.
func (n *Notifier) Run(ctx context.Context) error {
	for try := 0; ctx.Err() == nil; try++ {
		conn, err := DialSession(ctx, SessionParams{URL: n.url, Name: "connectlink notifier", Sockets: n.sockets})
		if err == nil {
			try = 0
			err = n.serve(ctx, conn)
			hangUp(ctx, conn)
		}
		if ctx.Err() != nil {
			break
		}
		if try == 0 {
			n.log.WarnContext(ctx, "notifications are interrupted; polling carries on", "error", Translate(err))
		}
		if !waitFor(ctx, retryDelay(try)) {
			break
		}
	}
	return nil
}

// idlePing keeps an unused connection from being the one that hangs when it is
// needed.
const idlePing = 10 * time.Second

func (n *Notifier) serve(ctx context.Context, conn *pgx.Conn) error {
	sent := map[string]time.Time{}
	for {
		channels, payloads, wait := n.take(time.Now(), sent)
		if len(channels) > 0 {
			if err := sendNotifications(ctx, conn, channels, payloads); err != nil {
				for i, c := range channels {
					n.giveBack(c, payloads[i])
				}
				return err
			}
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-n.wake:
			timer.Stop()
		case <-timer.C:
			if wait == idlePing {
				if err := pingConn(ctx, conn); err != nil {
					return err
				}
			}
		}
	}
}

// take removes what may be sent now; wait is how long until more may.
func (n *Notifier) take(now time.Time, sent map[string]time.Time) (channels, payloads []string, wait time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	wait = idlePing
	for channel, b := range n.pending {
		if left := sent[channel].Add(n.every).Sub(now); left > 0 {
			wait = min(wait, left)
			continue
		}
		channels = append(channels, channel)
		payloads = append(payloads, strings.Join(b.list, separator))
		sent[channel] = now
		delete(n.pending, channel)
	}
	return channels, payloads, wait
}

func (n *Notifier) giveBack(channel, payload string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	b := n.pending[channel]
	if b == nil {
		b = &bundle{}
		n.pending[channel] = b
	}
	for p := range strings.SplitSeq(payload, separator) {
		b.add(p)
	}
}

func sendNotifications(ctx context.Context, conn *pgx.Conn, channels, payloads []string) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	_, err := conn.Exec(ctx, "SELECT pg_notify(channel, payload) FROM unnest($1::text[], $2::text[]) AS n (channel, payload)", channels, payloads)
	return err
}
