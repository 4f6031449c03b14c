package httpapi

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
)

// TestABrakeHoldsOneKeyAndNoOther beyond the refusals that it may have, and ends with
// the request.
func TestABrakeHoldsOneKeyAndNoOther(t *testing.T) {
	t.Parallel()
	b := newBrake()
	b.pause = time.Hour
	b.slow(t.Context(), "leaked", refusalBurst)
	ctx, cancel := context.WithCancel(t.Context())
	held := make(chan struct{})
	go func() {
		defer close(held)
		b.slow(ctx, "leaked", refusalBurst) // no clock refills as much within the test
	}()
	b.slow(t.Context(), "honest", 1)
	b.slow(t.Context(), "honest", 0)
	select {
	case <-held:
		t.Fatal("the key over its refusals was not held")
	default:
	}
	cancel()
	<-held
}

func TestABrakeEndsByItself(t *testing.T) {
	t.Parallel()
	b := newBrake()
	b.pause = 20 * time.Millisecond
	begun := time.Now()
	b.slow(t.Context(), "leaked", 10*refusalBurst)
	if took := time.Since(begun); took < b.pause {
		t.Errorf("held for %v", took)
	}
}

func TestOnlyRefusalsByLimitsAreCounted(t *testing.T) {
	t.Parallel()
	for code, want := range map[invite.Code]bool{
		invite.CodeLimitExceeded: true, invite.CodeKeyPaused: true, invite.CodeCountryPaused: true, invite.CodeResendTooSoon: true,
		invite.CodeInvalidRequest: false, invite.CodeNotFound: false, invite.CodeUnavailable: false,
	} {
		if got := isLimited(fmt.Errorf("create: %w", &invite.Error{Code: code})); got != want {
			t.Errorf("%s: %t", code, got)
		}
	}
	if isLimited(nil) || isLimited(errors.New("other")) {
		t.Error("an error that is no refusal is counted")
	}
}
