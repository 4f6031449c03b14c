package job_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/job"
)

// River refuses other names, and 64 characters are its limit.
var riverName = regexp.MustCompile(`^(?:[a-z0-9])+(?:[_|\-]?[a-z0-9]+)*$`)

func TestEventsQueueIsAcceptedByRiverForEveryProjectID(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, id := range []string{"default", "acme-live", "a_b", "a--b", "a__b", "a-", "a_", "x", strings.Repeat("a", 40), strings.Repeat("a_", 20)} {
		name := job.EventsQueue(id)
		if !riverName.MatchString(name) || len(name) > 64 {
			t.Errorf("project %q: queue %q", id, name)
		}
		if other, ok := seen[name]; ok {
			t.Errorf("projects %q and %q share the queue %q", id, other, name)
		}
		seen[name] = id
	}
}
