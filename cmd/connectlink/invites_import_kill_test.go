package main_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/longtest"
)

// The place of a batch at which the import is killed.
const (
	beforeTheService = iota // the service does not see the batch
	duringTheBatch          // the service works on it
	beforeTheAnswer         // the service has stored it
	placesOfKills
)

// killer is a proxy in front of a service that has a process killed at a batch.
type killer struct {
	*httptest.Server

	left  atomic.Int64 // batches until the kill
	place atomic.Int64
	// validated: the dry runs of later runs need not reach the service, which has
	// validated each row in the first; most of the time would be theirs.
	validated atomic.Bool
	kill      chan struct{} // receives when the process is to be killed
}

func newKiller(t *testing.T, service string) *killer {
	t.Helper()
	target, err := url.Parse(service)
	if err != nil {
		t.Fatal(err)
	}
	k := &killer{kill: make(chan struct{}, 1)}
	proxy := &httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) {}, // the process is dead
	}
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/invites/preview" && k.validated.Load() {
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprint(w, `{"object":"invite_preview"}`)
			return
		}
		if r.URL.Path != "/v1/invites/batch" || k.left.Add(-1) != 0 {
			proxy.ServeHTTP(w, r)
			return
		}
		// The server notices the end of a connection only once the body is read.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read the batch: %v", err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		switch k.place.Load() {
		case beforeTheService:
			k.kill <- struct{}{}
		case duringTheBatch:
			k.kill <- struct{}{}
			proxy.ServeHTTP(httptest.NewRecorder(), r)
		case beforeTheAnswer:
			proxy.ServeHTTP(httptest.NewRecorder(), r)
			k.kill <- struct{}{}
		}
		<-r.Context().Done() // the process's connection ends with it
	}))
	t.Cleanup(k.Close)
	return k
}

// TestAnImportThatIsKilledAgainAndAgainMakesOneInviteARow kills the process with -9 in
// the midst of batches, at places and times of a seed, and runs the same command again.
func TestAnImportThatIsKilledAgainAndAgainMakesOneInviteARow(t *testing.T) {
	t.Parallel()
	rows, kills := 400, 3
	if longtest.Wanted() {
		rows, kills = 3000, 10
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a reproducible choice
	api := importAPI(t)
	k := newKiller(t, api["CONNECTLINK_API_URL"])
	var csv strings.Builder
	csv.WriteString("external_user_id,name,metadata.row\n")
	for i := range rows {
		_, _ = fmt.Fprintf(&csv, "user-%d,Pat,%d\n", i, i)
	}
	args := []string{"invites", "import", writeCSV(t, csv.String()), "--app=slack", "--channel=link", "--yes", "--json"}
	killed := api.with(vars{"CONNECTLINK_API_URL": k.URL})
	began := time.Now()
	for n := range kills {
		// A batch that was stored is sent again and answered from its record, so each
		// run reaches at least the batch at which the one before was killed.
		reach := max(1, rows/100*(n+1)/(kills+1))
		k.place.Store(int64(random.IntN(placesOfKills)))
		k.left.Store(int64(1 + random.IntN(reach)))
		p := start(t, killed, args...)
		within := patience
		if n == 0 { // the service validates each row first, one request a row
			within += time.Duration(rows) * 50 * time.Millisecond
		}
		select {
		case <-k.kill:
		case <-p.done:
			t.Fatalf("run %d ended before it was killed", n)
		case <-time.After(within):
			t.Fatalf("run %d goes on", n)
		}
		p.signal(syscall.SIGKILL)
		p.ends(-1)
		k.validated.Store(true)
	}
	k.left.Store(0)
	last := time.Now()
	report := parse(t, mustRun(t, killed, args...))
	t.Logf("%d rows, %d kills in %s; the last run took %s: %v created, %v created before", rows, kills,
		time.Since(began).Round(time.Millisecond), time.Since(last).Round(time.Millisecond), report["created"], report["replayed"])
	created, _ := report["created"].(float64)
	replayed, _ := report["replayed"].(float64)
	if int(created+replayed) != rows || replayed == 0 || len(places(report, "failed")) != 0 {
		t.Errorf("the last run: %v", report)
	}
	count := countByUser(t, api)
	for user, n := range count {
		if n != 1 {
			t.Errorf("%s has %d invites", user, n)
		}
	}
	if len(count) != rows {
		t.Errorf("%d users have an invite, want %d", len(count), rows)
	}
}
