// Package waittest waits in tests for what happens beside them. Its limit is far
// above what a slow machine needs: it ends a test that hangs, and decides
// nothing else.
package waittest

import (
	"testing"
	"time"
)

// Limit bounds every wait for something that must happen.
const Limit = 3 * time.Minute

// Until waits until ok reports true, and fails the test after Limit. The texts
// of details, made then, say how far it got.
func Until(t testing.TB, what string, ok func() bool, details ...func() string) {
	t.Helper()
	for deadline := time.Now().Add(Limit); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			for _, d := range details {
				t.Log(d())
			}
			t.Fatalf("never: %s", what)
		}
	}
}
