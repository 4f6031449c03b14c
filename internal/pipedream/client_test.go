package pipedream_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/pipedream"
	"github.com/connectlink/connectlink/internal/waittest"
	"github.com/connectlink/connectlink/internal/wire/wiretest"
)

func TestErrorsByStatusClass(t *testing.T) {
	t.Parallel()
	for code, c := range map[int]struct {
		kind  pipedream.Kind
		tries int
	}{
		302: {pipedream.Lasting, 1}, 400: {pipedream.Lasting, 1}, 403: {pipedream.Lasting, 1}, 422: {pipedream.Lasting, 1},
		404: {pipedream.NotFound, 1}, 401: {pipedream.Unauthorized, 2}, // twice: with the old access token and a new one
		408: {pipedream.Passing, 3}, 429: {pipedream.Passing, 3}, 500: {pipedream.Passing, 3}, 503: {pipedream.Passing, 3},
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int64
			v := start(t, func(w http.ResponseWriter, r *http.Request) { calls.Add(1); status(code)(w, r) })
			_, err := client(v).CreateToken(t.Context(), anyone)
			e := fault(t, err)
			if e.Kind != c.kind || e.Status != code || e.Code != "some_code" || int(calls.Load()) != c.tries {
				t.Errorf("%v after %d calls, want %s after %d", err, calls.Load(), c.kind, c.tries)
			}
			if errors.Is(err, pipedream.ErrNotFound) != (code == 404) {
				t.Error("ErrNotFound does not follow the kind")
			}
			for _, hidden := range []string{"pat@customer.example", clientSecret, v.URL, "access-"} {
				if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err.Error()), hidden) {
					t.Errorf("the error shows %q: %v", hidden, err)
				}
			}
		})
	}
}

func TestPassingFailuresAreTriedAgain(t *testing.T) {
	t.Parallel()
	v := start(t, mint)
	v.answers <- status(503)
	v.answers <- func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) } // cut
	if _, err := client(v).CreateToken(t.Context(), anyone); err != nil {
		t.Error(err)
	}
}

func TestRetryAfterIsHonouredWithinTheCallersTime(t *testing.T) {
	t.Parallel()
	limited := func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Retry-After", "1"); status(429)(w, r) }
	t.Run("enough time", func(t *testing.T) {
		t.Parallel()
		v := start(t, mint)
		v.answers <- limited
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), waittest.Limit)
		defer cancel()
		if _, err := client(v).CreateToken(ctx, anyone); err != nil {
			t.Error(err)
		}
		if waited := time.Since(began); waited < time.Second {
			t.Errorf("tried again after %s, asked to wait a second", waited)
		}
	})
	t.Run("not enough", func(t *testing.T) {
		t.Parallel()
		var calls atomic.Int64
		v := start(t, func(w http.ResponseWriter, r *http.Request) {
			calls.Add(1)
			w.Header().Set("Retry-After", "400")
			status(429)(w, r)
		})
		ctx, cancel := context.WithTimeout(t.Context(), waittest.Limit)
		defer cancel()
		_, err := client(v).CreateToken(ctx, anyone)
		if e := fault(t, err); e.Status != 429 || e.RetryAfter != 400*time.Second || calls.Load() != 1 || ctx.Err() != nil {
			t.Errorf("%v (wait %s) after %d calls, the caller's time over: %t; want to hear of it before", err, e.RetryAfter, calls.Load(), ctx.Err() != nil)
		}
	})
}

func TestBreakerAnswersAtOnceWhilePipedreamIsDown(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	down := atomic.Bool{}
	down.Store(true)
	v := start(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if down.Load() {
			status(503)(w, r)
			return
		}
		mint(w, r)
	})
	c := client(v, func(p *pipedream.Params) { p.BreakAfter, p.BreakFor = 4, 200*time.Millisecond })
	for range 5 {
		_, err := c.CreateToken(t.Context(), anyone)
		if e := fault(t, err); e.Kind != pipedream.Passing {
			t.Errorf("%v", err)
		}
	}
	if n := calls.Load(); n != 4 {
		t.Errorf("%d calls, want the breaker to stop after 4", n)
	}
	_, err := c.CreateToken(t.Context(), anyone)
	if e := fault(t, err); e.Code != "breaker_open" || e.RetryAfter <= 0 || e.RetryAfter > 200*time.Millisecond {
		t.Errorf("%v, wait %s", err, e.RetryAfter)
	}
	down.Store(false)
	for deadline := time.Now().Add(10 * time.Second); ; {
		if _, err = c.CreateToken(t.Context(), anyone); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the breaker never closed: %v", err)
		}
	}
}

func TestARefusalOrABusyUserDoesNotBreakTheCircuit(t *testing.T) {
	t.Parallel()
	for _, code := range []int{400, 404, 429} {
		v := start(t, status(code))
		c := client(v, func(p *pipedream.Params) { p.BreakAfter, p.BreakFor = 2, time.Hour })
		for range 4 {
			if e := fault(t, errOf(c.CreateToken(t.Context(), anyone))); e.Status != code {
				t.Errorf("status %d: %v", code, e)
			}
		}
	}
}

func errOf[T any](_ T, err error) error { return err }

func TestNetworkFaultsArePassing(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{
		"closed": wiretest.Refusing(t), "cut": wiretest.Ending(t, wiretest.EOF).URL, "not HTTP": wiretest.Ending(t, wiretest.Garbage).URL,
	} {
		c := client(nil, func(p *pipedream.Params) { p.BaseURL = url })
		err := errOf(c.CreateToken(t.Context(), anyone))
		if e := fault(t, err); e.Kind != pipedream.Passing || e.Status != 0 {
			t.Errorf("%s: %v", name, err)
		}
		if strings.Contains(err.Error(), "/v1/") || strings.Contains(err.Error(), "pat@") {
			t.Errorf("%s: the error shows URL or answer: %v", name, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	c := client(nil, func(p *pipedream.Params) { p.BaseURL = wiretest.Ending(t, wiretest.Silence).URL })
	if e := fault(t, errOf(c.CreateToken(ctx, anyone))); e.Kind != pipedream.Passing {
		t.Errorf("silence: %v", e)
	}
}
