package refresh_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/refresh"
)

func TestKeepReadsAgainAfterAnErrorAndEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	down := errors.New("the database is down")
	reads, told := 0, 0
	err := refresh.Keep(ctx, time.Millisecond, func(within context.Context) error {
		if _, bounded := within.Deadline(); !bounded {
			t.Error("a read has no end")
		}
		switch reads++; reads {
		case 1:
			return down
		case 3:
			stop()
			return context.Canceled // of the end, so not told
		}
		return nil
	}, func(err error) {
		if told++; !errors.Is(err, down) {
			t.Errorf("told of %v", err)
		}
	})
	if !errors.Is(err, context.Canceled) || reads != 3 || told != 1 {
		t.Errorf("%v after %d reads, told %d times", err, reads, told)
	}
}
