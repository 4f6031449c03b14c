package postgrestest

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Recording keeps the bytes that clients send to a database: their statements
// and parameters, which a server with log_statement or auto_explain logs.
type Recording struct {
	mu   sync.Mutex
	sent bytes.Buffer
}

// Write implements io.Writer for one client's bytes.
func (r *Recording) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sent.Write(p)
}

// Take returns the statements sent since the last call.
func (r *Recording) Take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := r.sent.String()
	r.sent.Reset()
	return text
}

// Record returns a URL of the database behind a proxy that records what its
// clients send, until the test ends.
func Record(t testing.TB, database string) (through string, r *Recording) {
	t.Helper()
	cfg, err := pgx.ParseConfig(database)
	if err != nil {
		t.Fatal(err)
	}
	network, address := pgconn.NetworkAddress(cfg.Host, cfg.Port)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Del("host")
	q.Del("port")
	q.Set("sslmode", "disable") // else nothing could be read
	u.Host, u.RawQuery = listener.Addr().String(), q.Encode()
	r = &Recording{}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { r.pass(ctx, client, network, address) })
		}
	})
	t.Cleanup(func() {
		stop()
		_ = listener.Close()
		running.Wait()
	})
	return u.String(), r
}

// pass carries one connection both ways until either side or ctx ends.
func (r *Recording) pass(ctx context.Context, client net.Conn, network, address string) {
	defer func() { _ = client.Close() }()
	server, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	ctx, done := context.WithCancel(ctx)
	go func() {
		defer done()
		_, _ = io.Copy(server, io.TeeReader(client, r))
	}()
	go func() {
		defer done()
		_, _ = io.Copy(client, server)
	}()
	<-ctx.Done()
}
