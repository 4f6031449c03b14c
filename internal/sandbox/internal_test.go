package sandbox

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
)

// What cannot be driven from outside: the order of writes within a batcher,
// and pure counting.

func TestBatcherGroupsThoseWhoWait(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var groups [][]int
	first, release := make(chan struct{}), make(chan struct{})
	b := batcher[int]{write: func(_ context.Context, rows []int) error {
		mu.Lock()
		groups = append(groups, rows)
		lone := len(groups) == 1
		mu.Unlock()
		if lone {
			close(first)
			<-release
		}
		return nil
	}}
	var wg sync.WaitGroup
	put := func(i int) {
		wg.Go(func() {
			if err := b.put(t.Context(), i); err != nil {
				t.Error(err)
			}
		})
	}
	put(0)
	<-first
	const n = maxBatch + 10
	for i := 1; i <= n; i++ {
		put(i)
	}
	for waiting := 0; waiting < n; { // all have queued behind the first write
		b.mu.Lock()
		waiting = len(b.waiting)
		b.mu.Unlock()
	}
	close(release)
	wg.Wait()
	var sizes []int
	var all []int
	for _, g := range groups {
		sizes = append(sizes, len(g))
		all = append(all, g...)
	}
	if !slices.Equal(sizes, []int{1, maxBatch, 10}) {
		t.Errorf("groups of %v", sizes)
	}
	slices.Sort(all)
	if len(slices.Compact(all)) != n+1 {
		t.Errorf("%d rows written, want %d", len(all), n+1)
	}
	if b.busy || len(b.waiting) != 0 {
		t.Error("the batcher is not at rest")
	}
}

func TestBatcherTellsTheWholeGroupOfAFailure(t *testing.T) {
	t.Parallel()
	broken := errors.New("the database is away")
	calls := 0
	first, release := make(chan struct{}), make(chan struct{})
	b := batcher[int]{write: func(context.Context, []int) error {
		calls++
		if calls == 1 {
			close(first)
			<-release
			return nil
		}
		return broken
	}}
	errs := make(chan error, 4)
	go func() { errs <- b.put(t.Context(), 0) }()
	<-first
	for i := range 3 {
		go func() { errs <- b.put(t.Context(), i) }()
	}
	for waiting := 0; waiting < 3; {
		b.mu.Lock()
		waiting = len(b.waiting)
		b.mu.Unlock()
	}
	close(release)
	failed := 0
	for range 4 {
		if errors.Is(<-errs, broken) {
			failed++
		}
	}
	if failed != 3 {
		t.Errorf("%d callers heard of the failure, want 3", failed)
	}
}

func TestSegments(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text     string
		units    int
		unicode  bool
		segments int
	}{
		"nothing":                     {"", 0, false, 1},
		"a full segment":              {strings.Repeat("a", 160), 160, false, 1},
		"one more":                    {strings.Repeat("a", 161), 161, false, 2},
		"two joined":                  {strings.Repeat("a", 306), 306, false, 2},
		"three joined":                {strings.Repeat("a", 307), 307, false, 3},
		"extended characters":         {"[~€]", 8, false, 1},
		"accents of the alphabet":     {"èéà", 3, false, 1},
		"one curly quote":             {strings.Repeat("a", 70) + "’", 71, true, 2},
		"an emoji is two":             {"👍", 2, true, 1},
		"Arabic, a full segment":      {strings.Repeat("ا", 70), 70, true, 1},
		"a character of no alphabet":  {"ê", 1, true, 1},
		"links cost what they look":   {"https://go.example/c/A_b@$", 26, false, 1},
		"a tilde in a link costs two": {"~", 2, false, 1},
	} {
		units, unicode := smsUnits(c.text)
		if units != c.units || unicode != c.unicode || segmentsOf(c.text) != c.segments {
			t.Errorf("%s: %d units, unicode %v, %d segments", name, units, unicode, segmentsOf(c.text))
		}
	}
}

func TestCallbackFragments(t *testing.T) {
	t.Parallel()
	for callback, want := range map[string]struct {
		target string
		count  int
		on     string
	}{
		"https://a.example/x":                 {"https://a.example/x", 1, "ct"},
		"https://a.example/x?q=1#rc=3&rp=all": {"https://a.example/x?q=1", 3, "all"},
		"https://a.example/x#rc=99":           {"https://a.example/x", 5, "ct"},
		"https://a.example/x#rp=4xx,rt":       {"https://a.example/x", 1, "4xx,rt"},
	} {
		target, r := splitCallback(callback)
		if target != want.target || r.count != want.count || strings.Join(r.on, ",") != want.on {
			t.Errorf("%s: %s, %+v", callback, target, r)
		}
	}
}

// The vector of the contract sheet, which Twilio's own library tests with.
func TestTwilioSignatureVector(t *testing.T) {
	t.Parallel()
	form := map[string][]string{
		"CallSid": {"CA1234567890ABCDE"}, "Caller": {"+14158675309"}, "Digits": {"1234"}, "From": {"+14158675309"}, "To": {"+18005551212"},
		"Reason": {"Participant"}, "ReasonConferenceEnded": {"test"},
	}
	if got, want := signForm("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", form), "vOEb5UThFn24KEfnOFLQY2AE5FY="; got != want {
		t.Errorf("signature = %s, want %s", got, want)
	}
}

func TestLinksInText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Open https://go.example/c/abc. Thanks":                     "https://go.example/c/abc",
		"(https://go.example/c/abc) or <http://127.0.0.1:8080/c/x>": "https://go.example/c/abc http://127.0.0.1:8080/c/x",
		"https://p.example/connect.html?token=ctok_1&app=slack":     "https://p.example/connect.html?token=ctok_1&app=slack",
		"no link, ftp://neither":                                    "",
	} {
		if got := strings.Join(linksIn(text), " "); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
