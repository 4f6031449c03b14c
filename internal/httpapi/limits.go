package httpapi

import (
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/issue"
)

// limitShape is a sending limit and its use. Amounts of money are text, so that no
// reader rounds them.
type limitShape struct {
	Limit     string     `json:"limit"`
	Scope     string     `json:"scope"`
	Country   *string    `json:"country"`
	Max       *string    `json:"max"`
	Used      *string    `json:"used"`
	Remaining *string    `json:"remaining"`
	ResetsAt  *time.Time `json:"resets_at"`
}

// limitList is the limits of the key's project.
type limitList struct {
	list[limitShape]
	Enforced     bool     `json:"enforced"`
	SMSCountries []string `json:"sms_countries"`
}

// limits lists the sending limits and their use.
func (a *api) limits(c echo.Context) error {
	if err := parseQuery(c).done(); err != nil {
		return err
	}
	p := keyPrincipal(c)
	all, countries, err := a.Invites.ListLimits(c.Request().Context(), p)
	if err != nil {
		return err
	}
	shapes := make([]limitShape, 0, len(all))
	for _, l := range all {
		shapes = append(shapes, shapeLimit(l))
	}
	if countries == nil {
		countries = []string{}
	}
	return writeJSON(c, http.StatusOK, limitList{list: listOf(shapes, ""), Enforced: p.Live, SMSCountries: countries})
}

func shapeLimit(l issue.LimitStatus) limitShape {
	text := func(n int64) *string {
		s := strconv.FormatInt(n, 10)
		if l.Money {
			s = config.Money(n).String()
		}
		return &s
	}
	out := limitShape{Limit: l.Name, Scope: string(l.Scope), Country: pointerTo(l.Subject)}
	if l.Max != config.Unlimited {
		out.Max = text(l.Max)
	}
	if l.Used != nil {
		out.Used = text(*l.Used)
		if l.Max != config.Unlimited {
			out.Remaining = text(max(0, l.Max-*l.Used))
		}
	}
	if !l.ResetsAt.IsZero() {
		out.ResetsAt = &l.ResetsAt
	}
	return out
}
