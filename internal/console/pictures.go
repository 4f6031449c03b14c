package console

import (
	"cmp"
	"html/template"
	"slices"
	"strconv"
	"time"

	"github.com/connectlink/connectlink/internal/console/picture"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/counts"
	"github.com/connectlink/connectlink/internal/store/find"
)

// day is 24 hours, as the windows of the counts have them.
const day = 24 * time.Hour

// shownDays is how many days the pictures of home have, today among them.
const shownDays = 7

// homePictures is what home draws.
type homePictures struct {
	Days    []string  // of the cards' pictures
	AsOf    time.Time // events until then are counted; zero: none are yet
	Since   string    // the first day of the funnel
	Funnel  []stage
	Apps    []appRow
	Times   []timesRow
	Reasons []reasonRow
	Most    int // of the latest failures, that are counted by reason; 0: all are
}

// stage is a step of the funnel.
type stage struct {
	Name, Text, Loss string
	URL              string // of the list with the same number; empty: there is none
	Bar              template.HTML
}

// appRow is the funnel of a channel and app.
type appRow struct {
	App, Channel string
	Steps        []int
}

// timesRow is how long it takes to connect, by channel.
type timesRow struct {
	Channel, Text string
	Picture       template.HTML
	Ticks         []string // one per column, most are empty
	Bins          []binRow
}

type binRow struct {
	Name string
	N    int
}

// reasonRow is a reason with the invites that failed for it.
type reasonRow struct {
	Title, URL, Count string
	Bar               template.HTML
}

// trend is the history of a card.
type trend struct {
	Picture template.HTML
	Days    []int // the oldest first
}

// openAlert is an excursion over a threshold.
type openAlert struct {
	Text  string
	Since time.Time
}

// alerts are the thresholds of the project that are exceeded.
func (s *console) alerts(p *page) ([]openAlert, error) {
	list, err := counts.ListOpen(p.ctx(), s.DB, p.by.Place)
	if err != nil {
		return nil, err
	}
	var out []openAlert
	for _, e := range list {
		value, most := strconv.FormatFloat(e.Value, 'f', 0, 64), strconv.FormatFloat(e.Threshold, 'f', -1, 64)
		a := openAlert{Since: e.RaisedAt}
		switch e.Kind {
		case counts.BounceRate:
			a.Text = p.t("%s %% of an hour's messages did not arrive; the threshold is %s %%.", value, most)
		case counts.ConnectFailures:
			a.Text = p.t("%s %% of an hour's attempts to connect failed; the threshold is %s %%.", value, most)
		case counts.QueueAge:
			a.Text = p.t("The oldest message waited %s to be sent; the threshold is %s.",
				p.frame.Span(time.Duration(e.Value)*time.Second), p.frame.Span(time.Duration(e.Threshold)*time.Second))
		}
		out = append(out, a)
	}
	return out, nil
}

// pictures reads what home draws.
func (s *console) pictures(p *page) (d homePictures, err error) {
	since := p.frame.Now.UTC().Truncate(day).Add(-(shownDays - 1) * day)
	if d.AsOf, err = counts.GetComplete(p.ctx(), s.DB, p.by.Place); err != nil {
		return d, err
	}
	list, err := counts.ListInvites(p.ctx(), s.DB, p.by.Place, since)
	if err != nil {
		return d, err
	}
	d.Since = since.Format(time.DateOnly)
	for ago := shownDays; ago > 0; ago-- {
		d.Days = append(d.Days, p.frame.TN("%d day ago", "%d days ago", ago))
	}
	d.Days = append(d.Days, p.t("the last 24 hours"))
	d.Funnel, d.Apps = p.funnel(list, d.Since)
	d.Times = p.connectTimes(list)
	least := false
	if d.Reasons, least, err = s.reasons(p); least {
		d.Most = find.ReasonCap
	}
	return d, err
}

func stepsOf(i counts.Invites) []int {
	return []int{i.Created, i.Sent, i.Delivered, i.Opened, i.Continued, i.Connected}
}

// funnel returns the steps of all invites, and those of each channel and app.
func (p *page) funnel(list []counts.Invites, since string) (stages []stage, apps []appRow) {
	var sum counts.Invites
	for _, i := range list {
		sum = sum.Add(i)
	}
	if sum.Created == 0 {
		return nil, nil
	}
	invites := p.frame.URL("invites")
	names := []string{p.t("Created"), p.t("Sent"), p.t("Delivered"), p.t("Opened"), p.t("Continued"), p.t("Connected")}
	losses := []func(lost, of int) string{
		nil,
		func(lost, of int) string { return p.t("%d of %d not sent yet, or refused", lost, of) },
		func(lost, of int) string { return p.t("%d of %d did not arrive, or have no report yet", lost, of) },
		func(lost, of int) string { return p.t("%d of %d never opened", lost, of) },
		func(lost, of int) string { return p.t("%d of %d opened and did not continue", lost, of) },
		func(lost, of int) string { return p.t("%d of %d continued and did not connect", lost, of) },
	}
	steps := stepsOf(sum)
	for i, n := range steps {
		s := stage{Name: names[i], Text: p.frame.Number(n), Bar: picture.Bar("", []picture.Part{{N: n, Kind: picture.Accent}}, steps[0])}
		if i > 0 && steps[i-1] > n {
			s.Loss = losses[i](steps[i-1]-n, steps[i-1])
		}
		switch i {
		case 0:
			s.URL = withQuery(invites, "since", since)
		case len(steps) - 1:
			s.URL = withQuery(invites, "status", string(invite.Connected), "since", since)
		}
		stages = append(stages, s)
	}
	slices.SortStableFunc(list, func(a, b counts.Invites) int { return cmp.Compare(b.Created, a.Created) })
	for i, one := range list {
		if i == maxFunnels {
			break
		}
		apps = append(apps, appRow{
			App: one.App, Channel: p.channel(one.Channel), Steps: stepsOf(one),
		})
	}
	return stages, apps
}

// maxFunnels is how many channels and apps have a funnel of their own.
const maxFunnels = 12

// connectTimes is the time from creation to connection by channel.
func (p *page) connectTimes(list []counts.Invites) (out []timesRow) {
	for _, ch := range invite.AllChannels() {
		var bins []int
		for _, i := range list {
			if i.Channel == ch {
				bins = counts.Add(bins, i.ConnectTimes)
			}
		}
		bounds := counts.ConnectBounds()
		median, ok := counts.Quantile(bounds, bins, 0.5)
		if !ok {
			continue
		}
		late, _ := counts.Quantile(bounds, bins, 0.9)
		r := timesRow{
			Channel: p.channel(ch), Text: p.t("Half within %s, 90 %% within %s", p.frame.Span(median), p.frame.Span(late)),
			Ticks: make([]string, len(bins)),
		}
		r.Picture = picture.Columns("p-cols", r.Channel+": "+r.Text, bins, picture.Accent, picture.Accent)
		for i, n := range bins {
			name := p.t("longer than %s", p.frame.Span(bounds[len(bounds)-1]))
			if i < len(bounds) {
				name = p.t("up to %s", p.frame.Span(bounds[i]))
			}
			r.Bins = append(r.Bins, binRow{name, n})
		}
		for _, i := range []int{0, 3, 7, 11} {
			r.Ticks[i] = p.frame.Span(bounds[i])
		}
		out = append(out, r)
	}
	return out
}

// reasons are those of invites that failed within a week, as the list counts them.
func (s *console) reasons(p *page) (out []reasonRow, least bool, err error) {
	var list []find.ReasonCount
	err = s.Lists.Read(p.ctx(), func(db postgres.DB) (err error) {
		list, least, err = find.CountReasons(p.ctx(), db, p.by.Place, p.frame.Now.Add(-windowDuration(pastWeek)))
		return err
	})
	for _, r := range list {
		ex, known := invite.Explain(r.Reason)
		if !known {
			continue
		}
		row := reasonRow{
			Title: p.t(ex.Title), Count: p.frame.Number(r.N), Bar: picture.Bar("", []picture.Part{{N: r.N, Kind: picture.Bad}}, list[0].N),
			URL: withQuery(p.frame.URL("invites"), "status", string(invite.Failed), "within", pastWeek, "reason", string(r.Reason)),
		}
		if least {
			row.Count = p.t("%d or more", r.N)
		}
		out = append(out, row)
	}
	return out, least, err
}

// trends are the histories of home's cards, in the order of the cards: of each the last
// eight times 24 hours, the oldest first.
func (s *console) trends(p *page) ([]trend, error) {
	failed, _ := invite.EffectPublishDeliveryFailed.Public()
	expired, _ := invite.EffectPublishExpired.Public()
	refused, _ := invite.EffectPublishConnectFailed.Public()
	const back = shownDays + 1
	days, err := counts.SumDays(p.ctx(), s.DB, p.by.Place, p.frame.Now, back, failed, expired, refused)
	if err != nil {
		return nil, err
	}
	blocked, err := s.Blocks.CountByDay(p.ctx(), p.by, back, back*find.CountCap)
	if err != nil {
		return nil, err
	}
	var out []trend
	for _, values := range [][]int{days[failed], days[expired], days[refused], blocked} {
		slices.Reverse(values)
		title := p.t("The last 24 hours: %d; the same day a week ago: %d", values[back-1], values[0])
		out = append(out, trend{picture.Columns("p-spark", title, values, picture.Calm, picture.Accent), values})
	}
	return out, nil
}
