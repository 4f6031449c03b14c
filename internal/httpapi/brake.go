package httpapi

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/limit"
)

const (
	// refusalsPerSecond is how many requests of a key beyond a limit are answered at
	// once, on average; refusalBurst is how many may come together.
	refusalsPerSecond = 10
	refusalBurst      = 50
	// brakePause is how long the answers to more of them wait at least, and twice that at
	// most: spread, for connections that ask in step would still come all at once. A
	// leaked key in a loop so cannot take the processor from other keys. A waiting
	// request holds no more than its connection.
	brakePause = time.Second
)

// brake slows keys down whose requests are refused because a limit is reached or
// they are paused. It must not change an answer.
type brake struct {
	refusals *limit.Keyed
	pause    time.Duration
}

func newBrake() *brake {
	return &brake{limit.New(refusalsPerSecond, refusalBurst, time.Now), brakePause}
}

// isLimited reports whether an error is a refusal by a limit or a pause.
func isLimited(err error) bool {
	var e *invite.Error
	return errors.As(err, &e) && slices.Contains([]invite.Code{
		invite.CodeLimitExceeded, invite.CodeKeyPaused, invite.CodeCountryPaused, invite.CodeResendTooSoon,
	}, e.Code)
}

// slow counts n refusals of a key and waits where they are more than the key may have.
func (b *brake) slow(ctx context.Context, key string, n int) {
	within := true
	for range n {
		ok, _ := b.refusals.Allow(key)
		within = within && ok
	}
	if within {
		return
	}
	timer := time.NewTimer(b.pause + rand.N(b.pause))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// braked applies the brake to refusals of a handler.
func (a *api) braked(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		err := next(c)
		if isLimited(err) {
			a.brake.slow(c.Request().Context(), keyPrincipal(c).ID, 1)
		}
		return err
	}
}
