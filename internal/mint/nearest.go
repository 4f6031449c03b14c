package mint

import (
	"context"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
)

const (
	// suggestWithin bounds how long a refusal waits for its suggestion.
	suggestWithin = 2 * time.Second
	// longestGuess is the longest name for which a neighbour is sought.
	longestGuess = 60
)

// Nearest returns the slug of the app that a name was probably meant to be: as the
// app's web page spells it (google-sheets), with capitals, without separators, or
// with a slip of the hand. It is empty where none comes near, and during an outage.
func (m *Minter) Nearest(ctx context.Context, name string) string {
	wanted := plainApp(name)
	if wanted == "" || len(wanted) > longestGuess {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, suggestWithin)
	defer cancel()
	words := strings.Join(strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return strings.ContainsRune(" _-.", r) }), " ")
	best, distance := "", 1+max(1, len(wanted)/4)
	// Pipedream's search, the most used apps, and what begins alike: a misspelt
	// name finds nothing in a search.
	for _, query := range []string{words, "", wanted[:min(3, len(wanted))]} {
		apps, err := m.Apps(ctx, query)
		if err != nil {
			continue
		}
		for _, a := range apps {
			if d := appDistance(wanted, a); d < distance {
				best, distance = a.Slug, d
			}
		}
		if distance == 0 {
			break
		}
	}
	return best
}

// MatchApp ranks an app for words: 0 if its slug or name is the words, 1 if one of
// them begins so, else 2. Case and separators do not count.
func MatchApp(a invite.App, words string) int {
	wanted, slug, name := plainApp(words), plainApp(a.Slug), plainApp(a.Name)
	switch {
	case slug == wanted || name == wanted:
		return 0
	case strings.HasPrefix(slug, wanted) || strings.HasPrefix(name, wanted):
		return 1
	default:
		return 2
	}
}

func appDistance(wanted string, a invite.App) int {
	return min(contact.Distance(wanted, plainApp(a.Slug)), contact.Distance(wanted, plainApp(a.Name)))
}

// plainApp makes Google Sheets, google-sheets and google_sheets the same.
func plainApp(name string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(name))
}
