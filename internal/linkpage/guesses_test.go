package linkpage_test

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/linkpage"
	"github.com/connectlink/connectlink/internal/track/tracktest"
)

// guesses is how many codes are tried. The figure of the promise is for a
// hundred thousand: CONNECTLINK_GUESSES=100000.
func guesses(t *testing.T) int {
	t.Helper()
	if n, err := strconv.Atoi(os.Getenv("CONNECTLINK_GUESSES")); err == nil && n > 0 {
		return n
	}
	return 1000
}

func TestGuessesHitNothingAndAreSlowedDown(t *testing.T) {
	t.Parallel()
	s := newSite(t) // ten a minute
	for range 20 {
		s.Invite(tracktest.Options{})
	}
	n := guesses(t)
	var hits, found, slowed, silent, next atomic.Int64
	began := time.Now()
	var g sync.WaitGroup
	for range 4 {
		g.Go(func() {
			for next.Add(1) <= int64(n) {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/c/"+access.NewCode().Reveal(), nil)
				if err != nil {
					t.Error(err)
					return
				}
				res, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				body := readAll(t, res.Body)
				_ = res.Body.Close()
				switch {
				case res.StatusCode == http.StatusNotFound:
					found.Add(1)
				case res.StatusCode == http.StatusTooManyRequests && res.Header.Get("Retry-After") != "":
					slowed.Add(1)
				case res.StatusCode == http.StatusTooManyRequests:
					silent.Add(1)
				default:
					hits.Add(1)
				}
				if strings.Contains(body, "Slack") {
					hits.Add(1)
				}
			}
		})
	}
	g.Wait()
	took := time.Since(began)
	t.Logf("%d guesses in %s: %d hits, %d answered, %d slowed down", n, took.Round(time.Millisecond), hits.Load(), found.Load(), slowed.Load())
	if hits.Load() != 0 || silent.Load() != 0 {
		t.Errorf("%d hits, %d were slowed down without Retry-After", hits.Load(), silent.Load())
	}
	if most := int64(11 + 10*took.Minutes()); found.Load() > most {
		t.Errorf("%d guesses were answered, at most %d should be", found.Load(), most)
	}
}

// nowhere lists the kinds of invalid codes whose answers must be
// indistinguishable.
func (s *site) nowhere() map[string]func() string {
	erased := s.Invite(tracktest.Options{})
	s.Exec(`UPDATE invites SET content = NULL WHERE id = $1`, erased.ID)
	return map[string]func() string{
		"never made": func() string { return access.NewCode().Reveal() },
		"too short":  func() string { return access.NewCode().Reveal()[:9] },
		"no code":    func() string { return "~" + access.NewCode().Reveal()[1:] },
		"deleted":    func() string { return erased.Code.Reveal() },
	}
}

// Whether a code never was, cannot be or was deleted must not be told by the
// time of the answer: the work is the same, look-up included.
func TestCodesThatLeadNowhereAreAllLookedUp(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(p *linkpage.Params) { p.Guesses = unlimited{} })
	for name, code := range s.nowhere() {
		before := s.Pool.Stat().AcquireCount()
		if a := s.do("GET", "/c/"+code()); a.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", name, a.StatusCode)
		}
		if n := s.Pool.Stat().AcquireCount() - before; n != 1 {
			t.Errorf("%s: the database was asked %d times, want once like for all others", name, n)
		}
	}
}

// BenchmarkCodesThatLeadNowhere measures what TestCodesThatLeadNowhereAreAllLookedUp
// demands: the longest median over the shortest, of interleaved requests in one
// run. "twice" is the same figure where one takes two requests: what the
// instrument would show of a difference.
func BenchmarkCodesThatLeadNowhere(b *testing.B) {
	s := newSite(b, func(p *linkpage.Params) { p.Guesses = unlimited{} })
	kinds := s.nowhere()
	for b.Loop() {
		b.ReportMetric(s.medians(map[string]func() string{"one": kinds["never made"], "another": func() string {
			s.do("GET", "/c/"+access.NewCode().Reveal())
			return access.NewCode().Reveal()
		}}, 150, true), "twice")
		b.ReportMetric(s.medians(kinds, 600, false), "longest/shortest")
	}
	b.ReportMetric(0, "ns/op")
}

// medians asks for each kind in turn and gives the longest median over the
// shortest. preparing counts the making of the code too.
func (s *site) medians(kinds map[string]func() string, rounds int, preparing bool) float64 {
	s.t.Helper()
	took := map[string][]time.Duration{}
	for range rounds {
		for name, code := range kinds { // in an order that changes
			began := time.Now()
			path := "/c/" + code()
			if !preparing {
				began = time.Now()
			}
			if a := s.do("GET", path); a.StatusCode != http.StatusNotFound {
				s.t.Fatalf("%s: %d", name, a.StatusCode)
			}
			took[name] = append(took[name], time.Since(began))
		}
	}
	var all []time.Duration
	said := ""
	for name, list := range took {
		slices.Sort(list)
		all = append(all, list[len(list)/2])
		said += fmt.Sprintf("%s %s; ", name, list[len(list)/2])
	}
	s.t.Log(said)
	return float64(slices.Max(all)) / float64(slices.Min(all))
}
