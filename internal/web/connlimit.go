package web

import (
	"container/list"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/invite"
)

// LimitConns keeps the connections of a server within max, so that clients do not use up
// the file descriptors that the database and the vendors need; 0 means no limit. It
// returns the listener to serve on.
//
// Beyond max the connection that was idle for longest is closed. Where none is idle, a
// few more are taken and their requests are answered 503, and beyond those the kernel
// keeps connections waiting until one is closed.
func LimitConns(srv *http.Server, ln net.Listener, max int) net.Listener {
	if max <= 0 {
		return ln
	}
	l := &connLimit{
		Listener: ln, max: max, room: make(chan struct{}, max+refusedConns(max)), closed: make(chan struct{}),
		open: make(map[net.Conn]*openConn), idle: list.New(),
	}
	srv.ConnState, srv.ConnContext = l.changed, l.context
	return l
}

// refusedConns is how many connections beyond max are taken to be told of the refusal.
func refusedConns(max int) int { return 4 + max/8 }

type connLimit struct {
	net.Listener
	max    int
	room   chan struct{} // holds one element for each connection that is open
	once   sync.Once
	closed chan struct{}

	mu     sync.Mutex
	open   map[net.Conn]*openConn
	served int        // open connections that are not refused, max at most
	idle   *list.List // of net.Conn; the one that was idle for longest is in front
}

type openConn struct {
	idle    *list.Element // nil while a request is read or answered
	refused bool          // or closed in favor of another one
}

// Accept implements net.Listener.
func (l *connLimit) Accept() (net.Conn, error) {
	select {
	case l.room <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.room
		return nil, err
	}
	if old := l.add(c); old != nil {
		_ = old.Close()
	}
	return c, nil
}

// Close implements net.Listener.
func (l *connLimit) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// add notes a new connection, and returns an idle one to close in its favor.
func (l *connLimit) add(c net.Conn) (old net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := &openConn{}
	l.open[c] = o
	if front := l.idle.Front(); l.served == l.max && front != nil {
		old = l.idle.Remove(front).(net.Conn)
		l.release(l.open[old])
	}
	if o.refused = l.served == l.max; !o.refused {
		l.served++
	}
	return old
}

// changed is the server's ConnState.
func (l *connLimit) changed(c net.Conn, state http.ConnState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o, ok := l.open[c]
	if !ok {
		return
	}
	if o.idle != nil {
		l.idle.Remove(o.idle)
		o.idle = nil
	}
	switch state {
	case http.StateIdle:
		o.idle = l.idle.PushBack(c)
	case http.StateClosed, http.StateHijacked:
		l.release(o)
		delete(l.open, c)
		<-l.room
	}
}

// release takes a connection out of those that are served; l.mu is held.
func (l *connLimit) release(o *openConn) {
	o.idle = nil
	if !o.refused {
		o.refused = true
		l.served--
	}
}

// refusedKey marks the context of connections beyond the limit.
type refusedKey struct{}

// context is the server's ConnContext.
func (l *connLimit) context(ctx context.Context, c net.Conn) context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o, ok := l.open[c]; ok && o.refused {
		return context.WithValue(ctx, refusedKey{}, true)
	}
	return ctx
}

// refusedBodyTimeout bounds how long the body of a refused request is read.
const refusedBodyTimeout = time.Second

// refuseExcess refuses requests of connections beyond the limit, but for those that ask
// after the process's health: a process without room for more clients is not broken.
func refuseExcess(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.Request().Context().Value(refusedKey{}) == nil {
			return next(c)
		}
		c.Response().Header().Set("Connection", "close")
		if isQuietRoute(c.Path()) {
			return next(c)
		}
		// A body that is left unread would keep the connection for another half second.
		r := c.Request()
		_ = http.NewResponseController(c.Response().Writer).SetReadDeadline(time.Now().Add(refusedBodyTimeout))
		_, _ = io.CopyN(io.Discard, r.Body, DefaultBodyLimit)
		return invite.Errorf(invite.CodeUnavailable, "The service has no room for another connection. Try again, or reuse a connection.")
	}
}
