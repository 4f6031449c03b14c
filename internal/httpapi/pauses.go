package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/pause"
	"github.com/connectlink/connectlink/internal/store/queue"
	"github.com/connectlink/connectlink/internal/store/traffic"
)

// Pauses shows, makes and ends pauses of sending; *pause.Service does.
type Pauses interface {
	List(ctx context.Context, by access.Principal, ended int) ([]traffic.Pause, error)
	ListHeld(ctx context.Context, by access.Principal) ([]queue.LaneStatus, error)
	Stop(ctx context.Context, by access.Principal, ch invite.Channel, why pause.Why) (bool, error)
	Resume(ctx context.Context, by access.Principal, ch invite.Channel) (bool, error)
	StopSubject(ctx context.Context, by access.Principal, s traffic.Subject, why pause.Why) (bool, error)
	ResumeSubject(ctx context.Context, by access.Principal, s traffic.Subject) (bool, error)
}

// pauseShape is the JSON shape of a pause.
type pauseShape struct {
	Object   string        `json:"object"`
	Livemode bool          `json:"livemode"`
	Scope    string        `json:"scope"`
	Channel  *string       `json:"channel"` // null: every channel
	Country  *string       `json:"country"`
	Prefix   *string       `json:"prefix"`
	Key      *string       `json:"key"`
	Source   string        `json:"source"`
	Reason   string        `json:"reason"`
	Figures  *figuresShape `json:"figures"` // null for a pause by a person
	PausedAt time.Time     `json:"paused_at"`
}

// figuresShape is what led to a pause.
type figuresShape struct {
	Sent     int      `json:"sent"`
	Visited  int      `json:"visited"`
	Expected float64  `json:"expected"`
	WindowS  int      `json:"window_s"`
	Reports  int      `json:"reports"`
	Invites  []string `json:"invites"`
}

// scopeChannel is the scope of a pause of a whole channel.
const scopeChannel = "channel"

func shapePause(p traffic.Pause) pauseShape {
	out := pauseShape{Object: "pause", Livemode: p.Live, Scope: string(p.Scope), Source: string(p.Source), Reason: p.Why, PausedAt: p.PausedAt.UTC()}
	switch p.Scope {
	case traffic.Country:
		out.Channel, out.Country = pointerTo(string(traffic.Channel())), &p.Name
	case traffic.Prefix:
		out.Channel, out.Prefix = pointerTo(string(traffic.Channel())), &p.Name
	case traffic.Key:
		out.Key = &p.Name
	}
	if f := p.Figures; p.Source != traffic.ByPerson {
		out.Figures = &figuresShape{Sent: f.Sent, Visited: f.Visited, Expected: f.Expected, WindowS: f.WindowS, Reports: f.Reports, Invites: append([]string{}, f.Invites...)}
	}
	return out
}

func shapeHeld(l queue.LaneStatus) pauseShape {
	return pauseShape{
		Object: "pause", Livemode: l.Lane.Live, Scope: scopeChannel, Channel: pointerTo(string(l.Lane.Channel)),
		Source: string(traffic.ByPerson), Reason: l.HeldWhy, PausedAt: l.HeldAt.UTC(),
	}
}

// listPauses lists the current pauses, those of channels first.
func (a *api) listPauses(c echo.Context) error {
	if err := parseQuery(c).done(); err != nil {
		return err
	}
	return a.writePauses(c)
}

func (a *api) writePauses(c echo.Context) error {
	ctx, by := c.Request().Context(), keyPrincipal(c)
	held, err := a.Pauses.ListHeld(ctx, by)
	if err != nil {
		return err
	}
	list, err := a.Pauses.List(ctx, by, 0)
	if err != nil {
		return err
	}
	shapes := make([]pauseShape, 0, len(held)+len(list))
	for _, l := range held {
		shapes = append(shapes, shapeHeld(l))
	}
	for _, p := range list {
		shapes = append(shapes, shapePause(p))
	}
	return writeJSON(c, http.StatusOK, listOf(shapes, ""))
}

// pauseRequest is the body of POST /v1/pauses and POST /v1/pauses/resume.
type pauseRequest struct {
	Channel string `json:"channel"`
	Country string `json:"country"`
	Prefix  string `json:"prefix"`
	Reason  string `json:"reason"`
}

// subject returns what a request concerns; whole means the whole channel.
func (r pauseRequest) subject(p access.Principal) (s traffic.Subject, whole bool, err error) {
	ch := invite.Channel(r.Channel)
	var faults []invite.Fault
	if !ch.Sends() {
		faults = append(faults, invite.Fault{Pointer: "/channel", Code: invite.FaultInvalid, Detail: "must be a channel that sends messages: " + strings.Join(invite.ChannelNames(invite.Channels()), " or ")})
	}
	if r.Country == "" && r.Prefix == "" {
		return s, true, faultsError(faults)
	}
	if ch.Sends() && ch.Spec().Field != invite.FieldPhone {
		faults = append(faults, invite.Fault{Pointer: "/channel", Code: invite.FaultNotAllowed, Detail: "only channel " + string(traffic.Channel()) + " has countries and prefixes"})
	}
	s, err = pause.ParseSubject(p.Place, r.Country, r.Prefix)
	var known *invite.Error
	if errors.As(err, &known) {
		faults = append(faults, known.Faults...)
	}
	return s, false, faultsError(faults)
}

func (a *api) pauseSending(c echo.Context) error {
	return a.changePause(c, func(ctx context.Context, by access.Principal, r pauseRequest, s traffic.Subject, whole bool) error {
		var err error
		if whole {
			_, err = a.Pauses.Stop(ctx, by, invite.Channel(r.Channel), pause.Why(r.Reason))
		} else {
			_, err = a.Pauses.StopSubject(ctx, by, s, pause.Why(r.Reason))
		}
		return err
	})
}

func (a *api) resumeSending(c echo.Context) error {
	return a.changePause(c, func(ctx context.Context, by access.Principal, r pauseRequest, s traffic.Subject, whole bool) error {
		if r.Reason != "" {
			return faultsError([]invite.Fault{{Pointer: "/reason", Code: invite.FaultNotAllowed, Detail: "is for pausing"}})
		}
		var err error
		if whole {
			_, err = a.Pauses.Resume(ctx, by, invite.Channel(r.Channel))
		} else {
			_, err = a.Pauses.ResumeSubject(ctx, by, s)
		}
		return err
	})
}

// changePause reads a request, makes the change and answers with the pauses after it.
func (a *api) changePause(c echo.Context, change func(context.Context, access.Principal, pauseRequest, traffic.Subject, bool) error) error {
	var req pauseRequest
	_, faults, err := bindBody(c, &req, false)
	if err := errors.Join(err, faultsError(faults)); err != nil {
		return err
	}
	by := keyPrincipal(c)
	s, whole, err := req.subject(by)
	if err != nil {
		return err
	}
	if err := change(c.Request().Context(), by, req, s, whole); err != nil {
		return err
	}
	return a.writePauses(c)
}
