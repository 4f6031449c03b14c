package console

import (
	"cmp"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/store/find"
)

// place is which page of a list is seen. Lists are read by id, newest first:
// "after" an id are the older ones, "before" it the page that is just newer. So
// nothing is skipped or shown twice while the list grows.
type place struct{ after, before string }

func placeOf(c echo.Context) place {
	if before := c.QueryParam("before"); before != "" {
		return place{before: before}
	}
	return place{after: c.QueryParam("after")}
}

// neighbours are the addresses of the pages beside one that shows first to
// last and goes on from next; empty where there is none. to is the list's
// address with one parameter added.
func (l place) neighbours(to func(name, id string) string, first, last, next string) (newer, older string) {
	if l.before == "" {
		if next != "" {
			older = to("after", next)
		}
		// Matches newer than the position at which a search in parts continued are
		// newer than this page.
		if from := cmp.Or(first, next); l.after != "" && from != "" {
			newer = to("before", from)
		}
		return newer, older
	}
	if next != "" {
		newer = to("before", next)
	}
	if from := cmp.Or(last, next); from != "" {
		older = to("after", from)
	}
	return newer, older
}

// position is which of how many a page lists, in words.
func (p *page) position(c find.Count, listed int) string {
	first, last := c.Newer+1, c.Newer+listed
	switch {
	case !c.IsPositionKnown() && c.Total == find.TotalCap:
		return p.t("More than 10,000 in all")
	case !c.IsPositionKnown() && c.Total == find.CountCap:
		return p.t("More than 1,000 in all")
	case !c.IsPositionKnown():
		return p.t("%d or more in all", c.Total)
	case c.Least && c.Total == find.TotalCap:
		return p.t("%d–%d of more than 10,000", first, last)
	case c.Least && c.Total == find.CountCap:
		return p.t("%d–%d of more than 1,000", first, last)
	case c.Least:
		return p.t("%d–%d of %d or more", first, last, max(c.Total, last))
	}
	return p.t("%d–%d of %d", first, last, max(c.Total, last)) // the list grew between the two look-ups
}
