package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
)

func listener(t *testing.T, url string, heartbeat time.Duration, channel string) <-chan string {
	t.Helper()
	l := postgres.NewListener(postgres.ListenerParams{URL: url, Log: quiet, Heartbeat: heartbeat})
	out := l.Listen(channel)
	background(t, l.Run)
	if first := receive(t, out, "word that listening has begun"); first != "" {
		t.Fatalf("first payload is %q, want the empty one", first)
	}
	return out
}

func notifier(t *testing.T, url string, every time.Duration) *postgres.Notifier {
	t.Helper()
	n := postgres.NewNotifier(postgres.NotifierParams{URL: url, Log: quiet, Every: every})
	background(t, n.Run)
	return n
}

func TestNotifyReachesListeners(t *testing.T) {
	t.Parallel()
	url := postgrestest.NewEmpty(t)
	out := listener(t, url, 0, "Moved invites") // a name that needs quoting
	n := notifier(t, url, 0)
	n.Notify("Moved invites", "inv_1")
	if got := receive(t, out, "payload"); got != "inv_1" {
		t.Errorf("got %q", got)
	}
	n.Notify("another channel", "inv_2")
	n.Notify("Moved invites", "inv_3")
	if got := receive(t, out, "payload"); got != "inv_3" {
		t.Errorf("got %q", got)
	}
}

func TestListenWhileRunning(t *testing.T) {
	t.Parallel()
	url := postgrestest.NewEmpty(t)
	l := postgres.NewListener(postgres.ListenerParams{URL: url, Log: quiet})
	background(t, l.Run)
	first := l.Listen("c")
	receive(t, first, "word that listening has begun")
	second, third := l.Listen("c"), l.Listen("d") // the running wait is interrupted for them
	receive(t, second, "word that listening has begun")
	receive(t, third, "word that listening has begun")
	notifier(t, url, 0).Notify("c", "x")
	for _, out := range []<-chan string{first, second} {
		if got := receive(t, out, "payload"); got != "x" {
			t.Errorf("got %q", got)
		}
	}
}

// A burst becomes few notifications, and every payload still arrives once.
func TestNotifyIsCoalesced(t *testing.T) {
	t.Parallel()
	url := postgrestest.NewEmpty(t)
	raw := connect(t, url)
	exec(t, raw, "LISTEN c")
	out := listener(t, url, 0, "c")
	const every = 100 * time.Millisecond
	n := notifier(t, url, every)
	n.Notify("c", "warm") // the connection is up from here on
	receive(t, out, "payload")
	if note, err := raw.WaitForNotification(t.Context()); err != nil || note.Payload != "warm" {
		t.Fatalf("got %v, %v", note, err)
	}

	const burst = 200
	began := time.Now()
	for i := range burst {
		n.Notify("c", itoa(i))
		n.Notify("c", itoa(i)) // twice the same is one
	}
	seen := map[string]int{}
	for len(seen) < burst {
		seen[receive(t, out, "payload")]++
	}
	for p, times := range seen {
		if times != 1 {
			t.Errorf("payload %q came %d times", p, times)
		}
	}
	limit := 2 + int(time.Since(began)/every)
	exec(t, raw, "SELECT 1") // the sent notification has arrived by now
	count := 0
	for ; drained(t, raw); count++ {
	}
	if count == 0 || count > limit {
		t.Errorf("%d notifications for a burst of %d, want 1 to %d", count, burst, limit)
	}
}

// drained takes one notification that is already there.
func drained(t *testing.T, conn *pgx.Conn) bool {
	t.Helper()
	ctx, cancel := timeout(t, 50*time.Millisecond)
	defer cancel()
	_, err := conn.WaitForNotification(ctx)
	return err == nil
}

func TestTooManyPayloadsBecomeLookAtEverything(t *testing.T) {
	t.Parallel()
	url := postgrestest.NewEmpty(t)
	out := listener(t, url, 0, "c")
	n := notifier(t, url, 200*time.Millisecond)
	n.Notify("c", "warm")
	receive(t, out, "payload")
	for i := range 3000 { // more than 8000 bytes
		n.Notify("c", strings.Repeat("x", 10)+itoa(i))
	}
	if got := receive(t, out, "payload"); got != "" {
		t.Errorf("got %q, want the empty payload", got)
	}
}

func TestSlowSubscriberIsToldItMissedSome(t *testing.T) {
	t.Parallel()
	url := postgrestest.NewEmpty(t)
	l := postgres.NewListener(postgres.ListenerParams{URL: url, Log: quiet})
	slow, probe := l.Listen("c"), l.Listen("last")
	background(t, l.Run)
	receive(t, probe, "word that listening has begun")
	conn := connect(t, url)
	for i := range 400 {
		exec(t, conn, "SELECT pg_notify('c', $1)", itoa(i))
	}
	exec(t, conn, "SELECT pg_notify('last', 'x')")
	receive(t, probe, "the last one")
	var last string
	for len(slow) > 0 {
		last = <-slow
	}
	if last != "" {
		t.Errorf("the last thing a slow subscriber sees is %q, want the empty payload", last)
	}
}

func TestReconnect(t *testing.T) {
	t.Parallel()
	url := postgrestest.NewEmpty(t)
	admin := connect(t, url)
	out := listener(t, url, 0, "c")
	n := notifier(t, url, 0)
	n.Notify("c", "before")
	receive(t, out, "payload")

	kick(t, admin, "connectlink notifier")
	n.Notify("c", "after") // the connection is dead: sent again on the next one
	if got := receive(t, out, "payload after the notifier's reconnect"); got != "after" {
		t.Errorf("got %q", got)
	}

	kick(t, admin, "connectlink listener")
	if got := receive(t, out, "word of the listener's reconnect"); got != "" {
		t.Errorf("got %q, want the empty payload", got)
	}
	n.Notify("c", "again")
	if got := receive(t, out, "payload after the listener's reconnect"); got != "again" {
		t.Errorf("got %q", got)
	}
}

// The connection is neither closed nor answered.
func TestSilentlyDeadConnectionIsNoticed(t *testing.T) {
	t.Parallel()
	url := postgrestest.NewEmpty(t)
	way := newLink(t, url, 0)
	out := listener(t, way.url, 50*time.Millisecond, "c")
	n := notifier(t, way.url, 0)
	n.Notify("c", "before")
	receive(t, out, "payload")

	way.goSilent()
	n.Notify("c", "during")
	if got := receive(t, out, "word of the listener's reconnect"); got != "" {
		t.Fatalf("got %q, want the empty payload", got)
	}
	// The notifier's own send timed out; it repeats it, before or after the
	// listener is back. A missed notification is covered by the empty payload.
	n.Notify("c", "after")
	for got := ""; got != "after"; {
		got = receive(t, out, "payload after the reconnects")
	}
}
