package console

import (
	"time"

	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/store/account"
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

// recentLimit is how many of one's own acts home shows.
const recentLimit = 8

// home shows what needs attention, how sending goes, and what one did last.
func (s *console) home(p *page) error {
	d := homePage{Base: p.base(p.t("Home"), "home")}
	var err error
	if d.Health, err = s.accounts(p); err != nil {
		return err
	}
	entries, _, err := account.ListAudit(p.ctx(), s.DB, account.AuditFilter{
		ProjectID: p.by.ProjectID, Livemode: p.by.Livemode, Actor: p.by.Actor(), Limit: recentLimit,
	})
	if err != nil {
		return err
	}
	for _, e := range entries {
		r := p.auditRow(e, nil)
		d.Recent = append(d.Recent, recent{Text: r.Act, URL: r.URL, At: r.At})
	}
	return p.show("home", d)
}
