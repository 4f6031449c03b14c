package keyring_test

import (
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/store/keyring"
)

func TestShareOfAPass(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, c := range map[string]struct {
		progress keyring.Progress
		want     float64
	}{
		"begun":                   {keyring.Progress{Blocks: 4}, 0},
		"half":                    {keyring.Progress{Block: 2, Blocks: 4}, 0.5},
		"past the end it had":     {keyring.Progress{Block: 6, Blocks: 4}, 1},
		"an empty table":          {keyring.Progress{}, 1},
		"finished by another one": {keyring.Progress{Block: 1, Blocks: 4, FinishedAt: &now}, 1},
	} {
		if got := c.progress.Share(); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
