package chaos

import (
	"context"
	"net/http/httptrace"
	"os"
	"sync"
	"syscall"

	"github.com/connectlink/connectlink/internal/dispatch"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/provider"
)

// The places in a call, which package dispatch does not see.
const (
	PointConnected   dispatch.Point = "connected"    // a connection is there, no byte of the request is written
	PointRequested   dispatch.Point = "requested"    // the request is written
	PointAnswerBegun dispatch.Point = "answer_begun" // the first byte of the answer is there
	PointAnswered    dispatch.Point = "answered"     // the answer is read, nothing is written down
)

// Points are all places at which a worker can be made to die.
func Points() []dispatch.Point {
	return append(dispatch.Points(), PointConnected, PointRequested, PointAnswerBegun, PointAnswered)
}

// order tells a worker to die when it passes a place for the nth time from now, or
// to store no more deliveries.
type order struct {
	Point  dispatch.Point `json:"point,omitempty"`
	Passes int            `json:"passes,omitempty"`
	Quiet  bool           `json:"quiet,omitempty"`
}

// trap waits in a worker for its order to come true.
type trap struct {
	mu sync.Mutex
	order
}

func (t *trap) set(o order) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.order = o
}

func (t *trap) pass(p dispatch.Point) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p != t.Point || t.Passes == 0 {
		return
	}
	if t.Passes--; t.Passes > 0 {
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // not one step further
}

// seen wraps a sender if the places of its calls are to be observed.
func (r Rig) seen(s provider.Sender) provider.Sender {
	if r.Passing == nil {
		return s
	}
	return seenSender{s, r.Passing}
}

type seenSender struct {
	provider.Sender
	pass func(dispatch.Point)
}

// Send implements provider.Sender.
func (s seenSender) Send(ctx context.Context, m message.Outgoing) (provider.Acceptance, error) {
	receipt, err := s.Sender.Send(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { s.pass(PointConnected) },
		WroteRequest: func(i httptrace.WroteRequestInfo) {
			if i.Err == nil {
				s.pass(PointRequested)
			}
		},
		GotFirstResponseByte: func() { s.pass(PointAnswerBegun) },
	}), m)
	s.pass(PointAnswered)
	return receipt, err
}
