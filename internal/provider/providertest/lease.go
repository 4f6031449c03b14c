package providertest

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/wire"
	"github.com/connectlink/connectlink/internal/wire/wiretest"
)

// lease: a machine may freeze anywhere between the claim and the system call.
func (h Harness) lease(t *testing.T) {
	t.Parallel()
	t.Run("before anything", func(t *testing.T) {
		t.Parallel()
		raw := wiretest.Ending(t, wiretest.Silence)
		m := h.Message(1)
		m.LeaseUntil = time.Now().Add(-time.Millisecond)
		receipt, err := h.New(raw.URL, client()).Send(t.Context(), m)
		h.wantLease(t, refused(t, receipt, err), raw)
		if raw.Conns() != 0 {
			t.Errorf("%d connections were opened", raw.Conns())
		}
	})
	// The clock jumps after the first look at it, so that only the guard in
	// net.Conn.Write can notice.
	for name, jump := range map[string]time.Duration{
		"at the system call":               time.Hour,
		"at the moment the lease runs out": time.Minute,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw := wiretest.Ending(t, wiretest.Silence)
			m := h.Message(1)
			start := time.Now()
			m.LeaseUntil = start.Add(time.Minute)
			var looks atomic.Int64
			now := func() time.Time {
				if looks.Add(1) == 1 {
					return start
				}
				return start.Add(jump)
			}
			hc := wire.Client(wire.Params{Now: now})
			receipt, err := h.New(raw.URL, hc).Send(t.Context(), m)
			h.wantLease(t, refused(t, receipt, err), raw)
			if looks.Load() < 2 {
				t.Error("the clock was looked at once only: Write did not ask")
			}
		})
	}
}

func (h Harness) wantLease(t *testing.T, se *provider.SendError, raw *wiretest.Raw) {
	t.Helper()
	h.want(t, se, provider.NotSent, 0)
	if f, _ := se.Err.(*wire.Fault); f == nil || f.Kind != wire.KindLease {
		t.Errorf("cause %v, want the lease", se.Err)
	}
	if raw.Bytes() != 0 {
		t.Errorf("%d bytes left after the lease", raw.Bytes())
	}
}
