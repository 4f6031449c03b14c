package sandbox_test

import (
	"context"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/sandbox"
)

func TestOldMessagesAreForgotten(t *testing.T) {
	t.Parallel()
	clock := newClock()
	w := newWorld(t, func(p *sandbox.Params) { p.Now = clock.Now; p.Keep = 48 * time.Hour })
	w.mail("old@customer.example", "x")
	if a := w.press(w.connectLink("u", "slack", nil), "connect"); a.Status != 200 {
		t.Fatalf("connect: %d", a.Status)
	}
	clock.Add(47 * time.Hour)
	w.mail("new@customer.example", "x")
	count := func(what string) (n int) {
		t.Helper()
		if err := w.pool.QueryRow(t.Context(), "SELECT count(*) FROM sandbox."+what).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	clock.Add(2 * time.Hour)
	forget(t, w)
	if count("messages") != 1 || w.newest().To != "new@customer.example" {
		t.Errorf("%d messages are kept", count("messages"))
	}
	if count("connect_tokens") != 0 || count("accounts") != 1 {
		t.Errorf("%d tokens, %d accounts are kept", count("connect_tokens"), count("accounts"))
	}
}

// forget runs retention once.
func forget(t *testing.T, w *world) {
	t.Helper()
	if err := sandbox.Forget(context.WithoutCancel(t.Context()), w.Sandbox); err != nil {
		t.Fatal(err)
	}
}

// A process that ends in the middle of a post leaves it for the next one, even
// where the vendor would not retry.
func TestAPostCutOffByTheProcessEndIsMadeAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	blocked, release := make(chan struct{}), make(chan struct{})
	w.product.mux.HandleFunc("POST /hold", blockOnce(blocked, release))
	link := w.connectLink("u", "slack", map[string]any{"webhook_uri": w.product.URL + "/hold"})
	if a := w.press(link, "connect"); a.Status != 200 {
		t.Fatalf("connect: %d", a.Status)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	<-blocked
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	close(release)
	w.run()
	eventually(t, "the second post", func() bool { return len(w.product.requests("/hold")) == 2 })
}
