package dispatch

import (
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/store/queue"
)

func TestAProcessIsAtRestAWhileAfterItsLastWork(t *testing.T) {
	t.Parallel()
	now := time.Now()
	d := newDispatcher(Params{Now: func() time.Time { return now }})
	d.noteWork(now)
	if now = now.Add(restAfter); d.isAtRest() {
		t.Error("at rest right after a claim")
	}
	now = now.Add(time.Second)
	if !d.isAtRest() {
		t.Error("without work for a while, and not at rest")
	}
	d.held[queue.Ref{}] = &task{}
	if d.isAtRest() {
		t.Error("at rest with a delivery in work")
	}
}
