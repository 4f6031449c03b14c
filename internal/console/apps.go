package console

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/find"
)

const (
	// appsWait is how long a page waits for Pipedream's list: it is a help, and a
	// page that hangs is none.
	appsWait = 1500 * time.Millisecond
	maxLike  = 12
)

// apps returns the apps to choose from. Without words: the apps of this
// project's latest invites, then the apps most used at Pipedream. With words:
// similar apps. Apps that cannot be connected are left out.
func (p *page) apps(words string) []view.Choice {
	var list []invite.App
	if words == "" {
		var used []invite.App
		err := p.Lists.Read(p.ctx(), func(db postgres.DB) (err error) {
			used, err = find.Apps(p.ctx(), db, p.by.Place)
			return err
		})
		if err != nil {
			p.Log.WarnContext(p.ctx(), "apps of the latest invites are not to be had", "err", err)
		}
		list = used
	}
	ctx, cancel := context.WithTimeout(p.ctx(), appsWait)
	defer cancel()
	if more, err := p.Invites.Apps(ctx, p.by, words); err == nil {
		list = append(list, more...)
	}
	var out []view.Choice
	for _, a := range list {
		if !slices.ContainsFunc(out, func(c view.Choice) bool { return c.Value == a.Slug }) {
			out = append(out, view.Choice{Value: a.Slug, Text: a.Name})
		}
	}
	if words != "" {
		out = out[:min(len(out), maxLike)]
	}
	return out
}

var slugForm = regexp.MustCompile(`^[a-z0-9_-]+$`)

// slug is the short name of an app that was typed, or chosen instead: people
// write "Google Sheets" too.
func (p *page) slug(typed, chosen string) string {
	typed = strings.TrimSpace(typed)
	switch {
	case chosen != "":
		return chosen
	case typed == "" || slugForm.MatchString(typed):
		return typed
	}
	for _, c := range p.apps(typed) {
		if strings.EqualFold(c.Text, typed) {
			return c.Value
		}
	}
	return typed
}

// appsLike answers the script that searches for apps while a person types.
func (s *console) appsLike(p *page) error {
	var b strings.Builder
	if err := s.Pages.Part(&b, "new", "apps", newPage{Base: p.base("", "new"), Apps: p.apps(p.QueryParam("q"))}); err != nil {
		return err
	}
	return p.HTML(http.StatusOK, b.String())
}

// languageName is a language in its own words.
func languageName(tag string) string {
	t, err := language.Parse(tag)
	if err != nil {
		return tag
	}
	return display.Self.Name(t)
}

// listZones are time zones to choose from, a few of each part of the world; any
// other can be typed.
func listZones() []string {
	return []string{
		"America/Anchorage", "America/Argentina/Buenos_Aires", "America/Bogota", "America/Chicago", "America/Denver", "America/Halifax",
		"America/Los_Angeles", "America/Mexico_City", "America/New_York", "America/Phoenix", "America/Sao_Paulo", "America/Toronto",
		"Africa/Cairo", "Africa/Johannesburg", "Africa/Lagos", "Africa/Nairobi",
		"Asia/Bangkok", "Asia/Dubai", "Asia/Hong_Kong", "Asia/Jakarta", "Asia/Jerusalem", "Asia/Karachi", "Asia/Kolkata", "Asia/Manila",
		"Asia/Riyadh", "Asia/Seoul", "Asia/Shanghai", "Asia/Singapore", "Asia/Tokyo",
		"Australia/Brisbane", "Australia/Perth", "Australia/Sydney",
		"Europe/Amsterdam", "Europe/Athens", "Europe/Berlin", "Europe/Brussels", "Europe/Copenhagen", "Europe/Dublin", "Europe/Helsinki", "Europe/Istanbul", "Europe/Kyiv",
		"Europe/Lisbon", "Europe/London", "Europe/Madrid", "Europe/Oslo", "Europe/Paris", "Europe/Rome", "Europe/Stockholm", "Europe/Vienna",
		"Europe/Warsaw", "Europe/Zurich", "Pacific/Auckland", "Pacific/Honolulu", "UTC",
	}
}
