package view_test

import (
	"strings"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/templates"
)

// "in 3 hours" used to be said of three hours and 59 minutes.
func TestTimesAreToldAsNearAsTheyMatter(t *testing.T) {
	t.Parallel()
	pages, err := view.New(templates.Console)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	b := pages.Base("en", view.Prefs{}, now)
	const day = 24 * time.Hour
	for d, want := range map[time.Duration]string{
		4*time.Hour - time.Second: "in 3 h 59 min", 4 * time.Hour: "in 4 hours", time.Hour + 30*time.Second: "in 1 hour", 59*time.Minute + 59*time.Second: "in 59 minutes",
		47*time.Hour + 59*time.Minute: "in 47 h 59 min", 48 * time.Hour: "in 2 days", 3*day - time.Hour: "in 3 days", 3*day + time.Hour: "in 3 days", time.Second: "in a moment",
		0: "just now", -59 * time.Second: "just now", -59*time.Minute - 59*time.Second: "59 minutes ago", -time.Hour: "1 hour ago", -4*time.Hour + time.Minute: "4 hours ago",
		-3*time.Hour - 29*time.Minute: "3 hours ago", -47*time.Hour - 40*time.Minute: "2 days ago", -3*day + time.Hour: "3 days ago",
	} {
		if got := b.Relative(now.Add(d)); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

// Thousands are grouped as each language does, in sentences and on their own.
func TestNumbersAreGroupedInTheLanguageOfThePage(t *testing.T) {
	t.Parallel()
	pages, err := view.New(templates.Console)
	if err != nil {
		t.Fatal(err)
	}
	for lang, want := range map[string]string{"en": "1,234,567", "ar": "1,234,567", "de": "1.234.567", "es": "1.234.567", "fr": "1\u00a0234\u00a0567"} {
		b := pages.Base(lang, view.Prefs{}, time.Time{})
		if got := b.Number(1234567); got != want {
			t.Errorf("%s: %q, want %q", lang, got, want)
		}
		for _, got := range []string{b.T("At most %d characters.", 1234567), b.TN("%d message", "%d messages", 1234567)} {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %q does not contain %q", lang, got, want)
			}
		}
		if got := b.Number(999); got != "999" {
			t.Errorf("%s: %q, want 999", lang, got)
		}
	}
}
