package wire

import (
	"context"
	"net"
	"syscall"
	"time"
)

// unacknowledged is how long bytes may remain without the other side's
// acknowledgement until the system gives the connection up. It is below the
// shortest settle time of a vendor that can be asked (Twilio, 60 s): a network
// that comes back later must not deliver a message that was not found and sent
// again meanwhile.
const unacknowledged = 15 * time.Second

// dialConn opens a connection from which nothing leaves after its process is done
// with it. By default the system goes on sending what a closed socket still
// held, for minutes if the network is away, even when the process was killed.
// Without lingering it throws that away instead, in every kind of end. The
// price is a reset instead of a farewell on connections that are idle.
func dialConn(ctx context.Context, timeout time.Duration, publicOnly bool, addr string) (net.Conn, error) {
	d := &net.Dialer{Timeout: timeout, KeepAlive: 15 * time.Second, Control: func(network, address string, c syscall.RawConn) error {
		if publicOnly {
			if err := CheckPublic(network, address, c); err != nil {
				return err
			}
		}
		var err error
		if ctl := c.Control(func(fd uintptr) { err = boundUnacknowledged(fd, unacknowledged) }); ctl != nil {
			return ctl
		}
		return err
	}}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, &dialError{err}
	}
	if t, ok := c.(*net.TCPConn); ok {
		if err := t.SetLinger(0); err != nil {
			_ = c.Close()
			return nil, &dialError{err}
		}
	}
	return c, nil
}
