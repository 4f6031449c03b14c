package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// limited is a service that takes every row and says what it takes next.
type limited struct {
	limits []string // the header RateLimit of each batch; the last again and again

	mu    sync.Mutex
	sizes []int // of the batches
	at    []time.Time
}

func (l *limited) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path != "/v1/invites/batch" {
		_, _ = fmt.Fprint(w, `{"object":"invite_preview"}`)
		return
	}
	var batch struct{ Invites []json.RawMessage }
	if err := json.NewDecoder(r.Body).Decode(&batch); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	w.Header().Set("RateLimit", l.limits[min(len(l.sizes), len(l.limits)-1)])
	l.sizes, l.at = append(l.sizes, len(batch.Invites)), append(l.at, time.Now())
	results := make([]string, len(batch.Invites))
	for i := range results {
		results[i] = fmt.Sprintf(`{"index":%d,"status":201,"invite":{"id":"inv_1"}}`, i)
	}
	_, _ = fmt.Fprintf(w, `{"results":[%s]}`, strings.Join(results, ","))
}

// importRows imports so many rows.
func importRows(t *testing.T, l *limited, rows int) result {
	t.Helper()
	s := httptest.NewServer(l)
	t.Cleanup(s.Close)
	var csv strings.Builder
	csv.WriteString("external_user_id,app,channel\n")
	for i := range rows {
		_, _ = fmt.Fprintf(&csv, "user-%d,slack,link\n", i)
	}
	api := vars{"CONNECTLINK_API_URL": s.URL, "CONNECTLINK_API_KEY": testKey}
	return runCommand(t, api, "invites", "import", writeCSV(t, csv.String()), "--yes")
}

// TestImportKeepsToTheRateLimitOfTheService: a batch has no more rows than the service
// takes, and the next one waits where it takes none.
func TestImportKeepsToTheRateLimitOfTheService(t *testing.T) {
	t.Parallel()
	l := &limited{limits: []string{`"day";r=900;t=7200, "creates";r=2;t=30`, `"creates";r=0;t=1`, `"creates";r=x, nonsense`}}
	importRows(t, l, 250).want(t, 0, `"created": 250`, "takes more in 1 s")
	if want := []int{100, 2, 100, 48}; !slices.Equal(l.sizes, want) {
		t.Errorf("batches of %v rows, want %v", l.sizes, want)
	}
	if pause := l.at[2].Sub(l.at[1]); pause < time.Second {
		t.Errorf("the third batch came after %s", pause)
	}
}

func TestImportStopsWhereTheRateLimitIsTooFarAway(t *testing.T) {
	t.Parallel()
	l := &limited{limits: []string{`"day";r=0;t=7200`}}
	importRows(t, l, 150).want(t, 1, "takes no more invites for 2h0m0s", `"created": 100`, "Run the same command again")
	if len(l.sizes) != 1 {
		t.Errorf("batches of %v rows", l.sizes)
	}
}
