package app_test

import (
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/attend"
	"github.com/connectlink/connectlink/internal/console"
	"github.com/connectlink/connectlink/internal/dispatch"
	"github.com/connectlink/connectlink/internal/erase"
	"github.com/connectlink/connectlink/internal/firewall"
	"github.com/connectlink/connectlink/internal/httpapi"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/linkpage"
	"github.com/connectlink/connectlink/internal/quota"
	"github.com/connectlink/connectlink/internal/suppress"
	"github.com/connectlink/connectlink/internal/testsend"
	"github.com/connectlink/connectlink/internal/track"
	"github.com/connectlink/connectlink/internal/unmask"
	"github.com/connectlink/connectlink/internal/visit"
	"github.com/connectlink/connectlink/internal/warn"
)

// Without these a suppressed person would be written to, an opt-out dropped, an
// event lost, a callback's gap overlooked or a code guessed without limit, and
// nothing would say so.
func TestConstructorsNameMissingCollaborators(t *testing.T) {
	t.Parallel()
	discard := func(_ any, err error) error { return err }
	for name, c := range map[string]struct {
		err  error
		want []string
	}{
		"dispatch": {discard(dispatch.New(dispatch.Params{})), []string{"BlockKeys", "Publish", "CallbackURL", "Pauses"}},
		"visit":    {discard(visit.New(visit.Params{})), []string{"Suppressions", "Publish", "Confirmer", "Uses", "Pauses"}},
		"track":    {discard(track.New(track.Params{})), []string{"Senders", "Callbacks", "SawReport", "Publish", "Later"}},
		"erase":    {discard(erase.New(erase.Params{})), []string{"Senders", "Redactor", "Publish", "Later", "Keep"}},
		"issue":    {discard(issue.New(issue.Params{})), []string{"Senders", "OneWay", "Publish", "Announce", "Wake", "Uses", "Pauses"}},
		"quota":    {discard(quota.New(quota.Params{})), []string{"Box", "Project", "Senders"}},
		"warn":     {discard(warn.New(warn.Params{})), []string{"DB", "Alerts", "Log"}},
		"firewall": {discard(firewall.New(firewall.Params{})), []string{"DB", "Box", "Project", "Alerts", "Log"}},
		"suppress": {discard(suppress.New(suppress.Params{})), []string{"Senders", "SenderOf", "Scripted", "Unlister"}},
		"testsend": {discard(testsend.New(testsend.Params{})), []string{"BlockKeys", "Senders", "PerSecond", "Composer"}},
		"attend":   {discard(attend.New(attend.Params{})), []string{"DB", "Box", "Changed"}},
		"unmask":   {discard(unmask.New(unmask.Params{})), []string{"Senders", "Publish"}},
		"linkpage": {linkpage.Register(echo.New(), linkpage.Params{}), []string{"Guesses", "OneWay"}},
		"console":  {console.Register(echo.New(), console.Params{}), []string{"Tries", "Unmask", "Lists", "TestSends"}},
		"httpapi":  {httpapi.Mount(echo.New(), httpapi.Params{}), []string{"Authenticate", "InApp.Opens", "InApp.Reads", "Lists"}},
	} {
		if c.err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, field := range append(c.want, "Params lacks") {
			if !strings.Contains(c.err.Error(), field) {
				t.Errorf("%s: %q does not name %s", name, c.err, field)
			}
		}
	}
}
