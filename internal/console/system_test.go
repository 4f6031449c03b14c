package console_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console"
	"github.com/connectlink/connectlink/internal/store/queue"
)

func TestTheSystemPageCountsBackgroundJobsAndSaysWhereToLook(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(p *console.Params) {
		p.PaceOf = func(account string) float64 {
			if strings.HasPrefix(account, "twilio") {
				return 0.5
			}
			return 0
		}
	})
	s.exec(`INSERT INTO river.river_job (state, finalized_at, args, kind, max_attempts) SELECT 'discarded', now(), '{}', 'publish', 1 FROM generate_series(1, 3)`)
	s.exec(`INSERT INTO river.river_job (state, args, kind, max_attempts) SELECT 'available', '{}', 'publish', 1 FROM generate_series(1, 1200)`)
	s.exec(`INSERT INTO river.river_job (state, finalized_at, args, kind, max_attempts) SELECT 'completed', now(), '{}', 'publish', 1 FROM generate_series(1, 5)`)
	s.exec(`INSERT INTO provider_accounts (account) VALUES ('sendgrid:default'), ('twilio:AC1')`)
	page := s.signedIn("admin", map[string]access.Role{"default": access.RoleAdmin}).get("/console/default/test/system").body
	for what, want := range map[string]string{
		"many":     `<dt>Ready</dt><dd>1,000 or more</dd>`,
		"none":     `<dt>Running</dt><dd>0</dd>`,
		"given up": `<dt>Failed for good</dt><dd>3 <span class="badge bad">`,
		"paced":    `At most 0.5 messages per second.`,
		"doctor":   `<code>connectlink doctor</code>`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%s: lacks %s", what, want)
		}
	}
	// The headings it names are there.
	manual, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, heading := range console.Runbook() {
		if !regexp.MustCompile(`(?m)^## ` + regexp.QuoteMeta(heading) + `$`).Match(manual) {
			t.Errorf("docs/operations.md has no section %q", heading)
		}
	}
}

// F9: messages of a removed project wait, and the page says so.
func TestF9TheSystemPageTellsOfMessagesOfARemovedProject(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(p *console.Params) {
		p.System = func(context.Context) (console.Facts, error) {
			return console.Facts{Orphans: []queue.Orphan{{ProjectID: "gone", Waiting: 4}}}, nil
		}
	})
	page := s.signedIn("admin", map[string]access.Role{"default": access.RoleAdmin}).get("/console/default/test/system").body
	if want := "4 messages wait for a project that is not configured: <bdi>gone</bdi>"; !strings.Contains(page, want) {
		t.Errorf("lacks %s", want)
	}
}

func TestTheSystemPageShowsTheProgressOfResealing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	admin := s.signedIn("admin", map[string]access.Role{"default": access.RoleAdmin})
	if page := admin.get("/console/default/test/system").body; strings.Contains(page, "Keys of stored data") {
		t.Error("the section is there before the first run")
	}
	s.exec(`INSERT INTO reseals (table_name, sealing_key, hashing_key, block, blocks, renewed, skipped, finished_at)
		VALUES ('public.invites', 1, 1, 3, 10, 70, 0, NULL), ('public.codes', 1, 1, 5, 5, 30, 2, now())`)
	page := admin.get("/console/default/test/system").body
	for _, want := range []string{"Keys of stored data", "Tables done: 1 of 2. Rows renewed: 100.", "Rows left under an old key: 2.", "Not finished"} {
		if !strings.Contains(page, want) {
			t.Errorf("lacks %q", want)
		}
	}
	s.exec(`UPDATE reseals SET finished_at = now(), skipped = 0`)
	if page := admin.get("/console/default/test/system").body; !strings.Contains(page, "Tables done: 2 of 2") || strings.Contains(page, "left under an old key") {
		t.Error("the end is not shown")
	}
}
