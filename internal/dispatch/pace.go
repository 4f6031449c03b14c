package dispatch

import (
	"context"
	"time"

	"github.com/connectlink/connectlink/internal/store/queue"
)

// tokensAhead is how much of a second's pace a process takes at once: few
// statements at high rates, little left over when it dies.
const tokensAhead = 10

// pace takes one send out of an account's token bucket; if it is empty it
// returns how long to wait.
func (a *accounts) pace(ctx context.Context, account string) (bool, time.Duration, error) {
	p := a.d.p.Pace(account)
	if p.PerSecond <= 0 {
		return true, 0, nil
	}
	if a.spend(account) {
		return true, 0, nil
	}
	want := max(int(p.PerSecond/tokensAhead), 1)
	got, wait, err := queue.TakeTokens(ctx, a.d.p.DB, account, want, p.PerSecond, max(p.Burst, 1))
	if err != nil {
		return false, 0, err
	}
	if got == 0 {
		return false, max(wait, 10*time.Millisecond), nil
	}
	a.mu.Lock()
	a.tokens[account] += got - 1
	a.mu.Unlock()
	return true, 0, nil
}

func (a *accounts) spend(account string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.tokens[account] == 0 {
		return false
	}
	a.tokens[account]--
	return true
}
