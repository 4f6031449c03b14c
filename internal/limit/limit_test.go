package limit_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/limit"
)

func TestAllowTakesAndRefills(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	k := limit.New(time.Second, 3, func() time.Time { return now })
	for range 3 {
		if ok, _ := k.Allow("a"); !ok {
			t.Fatal("refused within the burst")
		}
	}
	ok, after := k.Allow("a")
	if ok || after != time.Second {
		t.Fatalf("Allow = %t after %s, want no, and a second to wait", ok, after)
	}
	if ok, _ := k.Allow("b"); !ok {
		t.Fatal("one key used up another's budget")
	}
	now = now.Add(time.Second)
	if ok, _ := k.Allow("a"); !ok {
		t.Fatal("a refusal cost a token: nothing was left after the wait that was named")
	}
}

func TestAFloodOfKeysKeepsMemoryBounded(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	k := limit.New(time.Hour, 1, func() time.Time { return now })
	for i := range 120_000 {
		if ok, _ := k.Allow(strconv.Itoa(i)); !ok {
			t.Fatalf("key %d was refused its first", i)
		}
	}
	if n := k.Len(); n > 50_000 {
		t.Fatalf("%d keys are remembered", n)
	}
}
