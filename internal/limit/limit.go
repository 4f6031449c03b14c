// Package limit counts what may be done how often: mints per external user,
// guesses of codes per client address, resends per invite.
//
// It owns token buckets in this process's memory. It must not know the
// limited resource, talk to the database or sleep: callers answer "later"
// themselves. Each process counts for itself, so a limit that must hold
// across processes is either divided by their number or kept in Postgres.
//
// # Memory
//
// A bucket is one point in time (the generic cell rate algorithm: when the
// bucket would be full again), and one that is full again says nothing, so it
// is dropped. When there are more keys than New's maximum the least recently
// used goes, whose owner then starts with a full bucket: a flood of keys makes
// the limiter forgetful, never the process large or others refused.
package limit

import (
	"container/list"
	"crypto/sha256"
	"math"
	"sync"
	"time"
)

const (
	// DefaultMaxKeys is how many keys a Keyed remembers; about 200 bytes each.
	DefaultMaxKeys = 100_000
	// longKey is the length from which a key is remembered by its hash, so
	// that callers may pass what came from outside.
	longKey = 64
	// sweep is how many full buckets one call drops at most.
	sweep = 4
)

// Rate is how many events a bucket gains per second.
type Rate float64

// Per returns the rate of n events in every d: Per(100, time.Minute).
func Per(n int, d time.Duration) Rate {
	if n <= 0 || d <= 0 {
		return 0
	}
	return Rate(float64(n) / d.Seconds())
}

// Keyed is a token bucket for every key. It is safe for use by several
// goroutines.
type Keyed struct {
	every time.Duration // one event
	depth time.Duration // the whole bucket
	now   func() time.Time
	max   int

	mu    sync.Mutex
	byKey map[string]*list.Element
	used  *list.List // most recently used first; values are *bucket
}

type bucket struct {
	key  string
	full time.Time // when the bucket is full again
}

// New makes buckets that hold burst events and refill at rate. A rate or burst
// of nothing refuses everything.
func New(rate Rate, burst int, now func() time.Time) *Keyed {
	return NewBounded(rate, burst, DefaultMaxKeys, now)
}

// NewBounded is New with the greatest number of keys to remember.
func NewBounded(rate Rate, burst, maxKeys int, now func() time.Time) *Keyed {
	k := &Keyed{now: now, max: max(maxKeys, 1), byKey: map[string]*list.Element{}, used: list.New()}
	if rate > 0 && burst > 0 {
		every := float64(time.Second) / float64(rate)
		// Buckets deeper than a century are as good as the century.
		k.every = time.Duration(math.Max(1, math.Min(every, math.MaxInt64/4/float64(burst))))
		k.depth = k.every * time.Duration(burst)
	}
	return k
}

// Allow takes one event from the key's bucket. When there is none left it
// takes nothing and says after which time there will be one.
func (k *Keyed) Allow(key string) (ok bool, retryAfter time.Duration) {
	if k.depth == 0 {
		return false, time.Duration(math.MaxInt64)
	}
	if len(key) >= longKey {
		sum := sha256.Sum256([]byte(key))
		key = string(sum[:])
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	k.drop(now)

	el, known := k.byKey[key]
	full := now
	if known {
		// Never later than an empty bucket's: a wall clock set back must not
		// lock anybody out for the length of the jump.
		if was := el.Value.(*bucket).full; was.After(now) {
			full = earlier(was, now.Add(k.depth))
		}
	}
	if wait := full.Add(k.every).Sub(now.Add(k.depth)); wait > 0 {
		if known {
			el.Value.(*bucket).full = full
			k.used.MoveToFront(el)
		}
		return false, wait
	}
	full = full.Add(k.every)
	if known {
		el.Value.(*bucket).full = full
		k.used.MoveToFront(el)
		return true, 0
	}
	if k.used.Len() >= k.max {
		k.forget(k.used.Back())
	}
	k.byKey[key] = k.used.PushFront(&bucket{key: key, full: full})
	return true, 0
}

// Len is how many keys are remembered, for a metric.
func (k *Keyed) Len() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.used.Len()
}

// drop forgets the full buckets among those that were used longest ago, a few
// per call, which keeps up with any growth of one per call.
func (k *Keyed) drop(now time.Time) {
	for range sweep {
		el := k.used.Back()
		if el == nil || el.Value.(*bucket).full.After(now) {
			return
		}
		k.forget(el)
	}
}

func (k *Keyed) forget(el *list.Element) {
	delete(k.byKey, el.Value.(*bucket).key)
	k.used.Remove(el)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// Budget is a rate limit per key.
type Budget interface {
	Allow(key string) (ok bool, retryAfter time.Duration)
}

var _ Budget = (*Keyed)(nil)
