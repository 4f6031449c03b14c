package pipedream_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/pipedream"
)

func TestARefusedAccessTokenIsRenewedOnce(t *testing.T) {
	t.Parallel()
	v := start(t, mint)
	c := client(v)
	if _, err := c.CreateToken(t.Context(), anyone); err != nil {
		t.Fatal(err)
	}
	v.valid.Store(2) // the first was revoked
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := c.CreateToken(t.Context(), anyone); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := v.issued.Load(); n != 2 {
		t.Errorf("%d access tokens were fetched, want one renewal for all", n)
	}
}

func TestAccessTokenIsRenewedTwoMinutesEarly(t *testing.T) {
	t.Parallel()
	v := start(t, mint)
	var now atomic.Int64
	begin := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	c := client(v, func(p *pipedream.Params) { p.Now = func() time.Time { return begin.Add(time.Duration(now.Load())) } })
	for _, step := range []struct {
		after time.Duration
		want  int64
	}{{0, 1}, {58*time.Minute - time.Second, 1}, {58 * time.Minute, 2}, {100 * time.Minute, 2}} {
		now.Store(int64(step.after))
		if _, err := c.CreateToken(t.Context(), anyone); err != nil {
			t.Fatal(err)
		}
		if n := v.issued.Load(); n != step.want {
			t.Errorf("after %s: %d access tokens, want %d", step.after, n, step.want)
		}
	}
}

// The caller that starts the fetch may leave; the others must not notice.
func TestACancelledLeaderFailsNobodyElse(t *testing.T) {
	t.Parallel()
	v := start(t, mint)
	arrived, let := make(chan struct{}), make(chan struct{})
	v.oauth = func(w http.ResponseWriter, r *http.Request) {
		close(arrived) // a second fetch would panic here
		<-let
		v.issue(w, r)
	}
	c := client(v)
	ctx, cancel := context.WithCancel(t.Context())
	leader := make(chan error, 1)
	go func() { _, err := c.CreateToken(ctx, anyone); leader <- err }()
	<-arrived
	followers := make(chan error, 5)
	for range 5 {
		go func() { _, err := c.CreateToken(t.Context(), anyone); followers <- err }()
	}
	cancel()
	if err := <-leader; !errors.Is(err, context.Canceled) {
		t.Errorf("leader: %v", err)
	}
	close(let)
	for range 5 {
		if err := <-followers; err != nil {
			t.Errorf("follower: %v", err)
		}
	}
	if n := v.issued.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

func TestABadSecretIsUnauthorized(t *testing.T) {
	t.Parallel()
	v := start(t, mint)
	var calls atomic.Int64
	v.oauth = func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		reply(w, 401, map[string]any{"error": "invalid_client"})
	}
	c := client(v)
	for _, call := range []func() error{
		func() error { return c.Ping(t.Context()) },
		func() error { _, err := c.CreateToken(t.Context(), anyone); return err },
	} {
		if e := fault(t, call()); e.Kind != pipedream.Unauthorized || e.Op != "get access token" {
			t.Errorf("%v", e)
		}
	}
	if calls.Load() != 2 {
		t.Errorf("%d fetches: a bad secret does not get better", calls.Load())
	}
	v.oauth = nil
	if err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}
