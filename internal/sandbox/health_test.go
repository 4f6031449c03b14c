package sandbox_test

import (
	"errors"
	"testing"

	"github.com/connectlink/connectlink/internal/sandbox"
)

// TestAccountsSpeakOfTheirHealth on Pipedream's wire: healthy, dead and error. A person
// who connects the account again makes it healthy.
func TestAccountsSpeakOfTheirHealth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.press(w.connectLink("u", "slack", nil), "connect")
	account := func() map[string]any { return w.accounts("")[0].(map[string]any) }
	id := account()["id"].(string)
	for _, c := range []struct {
		to                   sandbox.AccountState
		healthy, dead, words bool
	}{
		{sandbox.AccountUnhealthy, false, false, true}, {sandbox.AccountDead, false, true, true}, {sandbox.AccountHealthy, true, false, false},
		{sandbox.AccountDead, false, true, true},
	} {
		if err := w.SetAccount(t.Context(), id, c.to); err != nil {
			t.Fatal(err)
		}
		got := account()
		if dead, _ := got["dead"].(bool); got["healthy"] != c.healthy || dead != c.dead || (got["error"] != nil) != c.words {
			t.Errorf("%s: healthy %v, dead %v, error %v", c.to, got["healthy"], got["dead"], got["error"])
		}
	}
	w.press(w.connectLink("u", "slack&accountId="+id, nil), "connect")
	if got := account(); got["id"] != id || got["healthy"] != true || got["dead"] != nil || got["error"] != nil {
		t.Errorf("after it was connected again: %v", got)
	}
	if err := w.SetAccount(t.Context(), id, sandbox.AccountDeleted); err != nil {
		t.Fatal(err)
	}
	if got := w.accounts(""); len(got) != 0 {
		t.Errorf("it is still there: %v", got)
	}
	for _, apn := range []string{id, "apn_1", ""} {
		if err := w.SetAccount(t.Context(), apn, sandbox.AccountHealthy); !errors.Is(err, sandbox.ErrNoAccount) {
			t.Errorf("account %q: %v", apn, err)
		}
	}
	if err := w.SetAccount(t.Context(), id, "sick"); err == nil {
		t.Error("an unknown state is taken")
	}
}
