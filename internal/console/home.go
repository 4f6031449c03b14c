package console

import (
	"time"

	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/store/find"
)

// homePage is where a day begins.
type homePage struct {
	*view.Base
	Cards  []card
	Hooks  []endpointRow // that miss events
	Limits []limitNotice
	Ending []limitNotice // API keys that end soon
	Health []health
	Recent []recent
	Alerts []openAlert // thresholds that are exceeded
	homePictures
}

// card is a number that needs attention, with a link to its list.
type card struct {
	N               int
	More            bool // there can be more
	Count           string
	URL, Text, Kind string
	Icon            string
	Trend           trend
}

type health struct {
	Name, Text string
	Badge      view.Badge
	Strip      strip
	Pace       string // how fast it is sent to; on the page of operators
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
	var a find.Attention
	err := s.Lists.Read(p.ctx(), func(db postgres.DB) (err error) {
		a, err = find.GetAttention(p.ctx(), db, p.by.Place, p.frame.Now)
		return err
	})
	if err != nil {
		return err
	}
	blocked, err := s.Blocks.CountSince(p.ctx(), p.by, p.frame.Now.Add(-windowDuration(pastDay)), find.CountCap)
	if err != nil {
		return err
	}
	invites := p.frame.URL("invites")
	trends, err := s.trends(p)
	if err != nil {
		return err
	}
	for i, c := range []card{
		{N: a.Failed, More: a.FailedMore, URL: withQuery(invites, "status", string(invite.Failed), "within", pastDay), Text: p.t("failed in the last 24 hours"), Kind: "bad", Icon: "alert"},
		{N: a.Expiring, More: a.ExpiringMore, URL: invites + "?expiring=1", Text: p.frame.TN("expires within an hour, unopened", "expire within an hour, unopened", a.Expiring), Kind: "warn", Icon: "clock"},
		{N: a.ConnectFailed, More: a.ConnectFailedMore, URL: withQuery(invites, "progress", string(invite.ConnectFailed), "within", pastWeek), Text: p.t("failed to connect (7 days)"), Kind: "bad", Icon: "plug"},
		{N: blocked, URL: withQuery(p.frame.URL("blocks"), "within", pastDay), Text: p.frame.TN("address suppressed in the last 24 hours", "addresses suppressed in the last 24 hours", blocked), Kind: "warn", Icon: "ban"},
	} {
		c.Count, c.Trend = p.frame.Number(c.N), trends[i]
		switch {
		case c.N >= find.CountCap:
			c.Count = p.t("1,000 or more")
		case c.More:
			c.Count = p.t("%d or more", c.N)
		case c.N == 0:
			c.Count, c.Kind, c.Icon = p.t("None"), "none", "check"
		}
		d.Cards = append(d.Cards, c)
	}
	if d.homePictures, err = s.pictures(p); err != nil {
		return err
	}
	if d.Alerts, err = s.alerts(p); err != nil {
		return err
	}
	if d.Hooks, err = s.webhookNotices(p); err != nil {
		return err
	}
	if d.Ending, err = s.endingKeys(p); err != nil {
		return err
	}
	if d.Limits, err = s.limitNotices(p); err != nil {
		return err
	}
	o, _, err := s.outcomes(p)
	if err != nil {
		return err
	}
	if d.Health, err = s.accounts(p, o); err != nil {
		return err
	}
	entries, _, err := account.ListAudit(p.ctx(), s.DB, account.AuditFilter{
		Place: p.by.Place, Actor: p.by.Actor(), Limit: recentLimit,
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
