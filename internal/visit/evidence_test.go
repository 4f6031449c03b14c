package visit_test

import (
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/track/tracktest"
	"github.com/connectlink/connectlink/internal/visit"
)

var person = visit.Evidence{Method: http.MethodGet, UserAgent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1", AcceptLanguage: "en-US"}

// tap is a person's press of the page's button.
var tap = visit.Evidence{Method: http.MethodPost, UserAgent: person.UserAgent, AcceptLanguage: "en-US", FromPage: true, Scripts: true, Gesture: true}

func TestBeaconCountsOnceAndOnlyAPerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	robot := person
	robot.UserAgent = "Mozilla/5.0 (compatible; Barracuda Sentinel)"
	if err := w.Seen(t.Context(), m.Code, robot); err != nil {
		t.Fatal(err)
	}
	if got := w.Get(m.ID).Progress; got != invite.NotOpened {
		t.Errorf("a scanner's beacon made it %s", got)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := w.Seen(t.Context(), m.Code, person); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if diff := cmp.Diff([]invite.EventType{"created", "link.visited"}, w.Types(m.ID)); diff != "" {
		t.Error(diff)
	}
}

func TestFetchLogIsCappedAndChangesNoStatus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			e := person
			if i%2 == 0 {
				e = visit.Evidence{Method: http.MethodGet, UserAgent: "python-requests/2.32"}
			}
			if err := w.Fetched(t.Context(), m.Code, e); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	got := w.Get(m.ID)
	if got.Status != invite.Active || got.Progress != invite.NotOpened {
		t.Errorf("invite is %s, %s", got.Status, got.Progress)
	}
	n := 0
	for _, e := range w.Events(m.ID) {
		if e.Type == invite.EventFetched {
			n++
			if !slices.Contains([]string{"person", "scanner"}, e.Data.LooksLike) {
				t.Errorf("classed as %q", e.Data.LooksLike)
			}
		}
	}
	if n != 20 {
		t.Errorf("%d fetches kept, want 20", n)
	}
}
