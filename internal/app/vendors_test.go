package app_test

import (
	"net"
	"net/http"
	"sync/atomic"
	"testing"
)

// A project's mail server is real: test mode, which borrows the rest of the
// project, must never reach it, not even when its own mail vendor fails.
func TestTestModeNeverReachesTheMailServer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var reached atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			reached.Add(1)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	p := start(t, boot{env: map[string]string{
		"SMTP_URL": "smtp://user:pass@" + l.Addr().String(), "SENDGRID_FROM": "connect@acme.example",
	}})
	made := p.invite(http.StatusCreated, to("delivered@connectlink.test"))
	p.until(made.text("id"), "delivered", func(inv object) bool { return inv.text("delivery.status") == "delivered" })
	if n := reached.Load(); n != 0 {
		t.Errorf("%d connections to the project's own mail server", n)
	}
}
