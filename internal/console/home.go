package console

import (
	"time"

	"github.com/connectlink/connectlink/internal/console/view"
)

// homePage is where a day begins.
type homePage struct {
	*view.Base
	Cards  []card
	Health []health
	Recent []recent
}

// card is a number that somebody should look at, and where to.
type card struct {
	N               *int // nil where there is nothing to worry about
	Count           string
	URL, Text, Kind string
	Icon            string
}

type health struct {
	Name, Text string
	Badge      view.Badge
}

type recent struct {
	Text, URL string
	At        time.Time
}

// home shows what needs attention, how sending goes, and what one did last.
func (s *console) home(p *page) error {
	return p.show("home", homePage{Base: p.base(p.t("Home"), "home")})
}
