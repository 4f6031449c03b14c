// Package limit owns budgets: how often something may happen per key, with
// memory that stays bounded whatever keys come.
//
// Budgets live in one process. What must hold across processes belongs into
// the database.
package limit

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxKeys bounds a Keyed's memory. Past it the keys that are full again, and
// so remember nothing, are dropped first.
const maxKeys = 50_000

// Keyed holds one token bucket per key. It is safe for concurrent use.
type Keyed struct {
	every time.Duration
	burst int
	now   func() time.Time

	mu      sync.Mutex
	buckets map[string]*rate.Limiter
}

// New makes a Keyed whose buckets hold burst tokens and gain one per every.
func New(every time.Duration, burst int, now func() time.Time) *Keyed {
	return &Keyed{every: every, burst: burst, now: now, buckets: make(map[string]*rate.Limiter)}
}

// Allow takes a token of key's bucket. When there is none it says after how
// long there will be one.
func (k *Keyed) Allow(key string) (ok bool, retryAfter time.Duration) {
	now := k.now()
	k.mu.Lock()
	defer k.mu.Unlock()
	b, found := k.buckets[key]
	if !found {
		if len(k.buckets) >= maxKeys {
			k.forget(now)
		}
		b = rate.NewLimiter(rate.Every(k.every), k.burst)
		k.buckets[key] = b
	}
	r := b.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait == 0 {
		return true, 0
	}
	r.CancelAt(now)
	return false, wait
}

// forget drops the buckets that are full: a new one would be the same. When
// every bucket is in use, all go: a flood of keys must not end in no memory.
func (k *Keyed) forget(now time.Time) {
	for key, b := range k.buckets {
		if b.TokensAt(now) >= float64(k.burst) {
			delete(k.buckets, key)
		}
	}
	if len(k.buckets) >= maxKeys {
		clear(k.buckets)
	}
}

// Len is how many keys are remembered now; for a metric.
func (k *Keyed) Len() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.buckets)
}
