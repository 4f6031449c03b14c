package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/track"
	"github.com/connectlink/connectlink/internal/web"
)

// Callbacks are answered with bare statuses: machines of others read them, and
// an attacker learns nothing. 2xx is sent only after the commit; any other
// status makes the provider try again, which is right for a fault of ours.

func (a *api) pipedream(c echo.Context) error {
	raw, err := rawBody(c)
	if err != nil {
		return err
	}
	return answerProvider(c, a.Callbacks.Pipedream(c.Request().Context(), secret.New(c.Param("secret")), raw))
}

// reports takes what any provider says about its messages.
func (a *api) reports(c echo.Context) error {
	post, err := postOf(c)
	if err == nil {
		err = a.Callbacks.Reports(c.Request().Context(), post)
	}
	return answerProvider(c, err)
}

// replies takes what people wrote back, by any provider.
func (a *api) replies(c echo.Context) error {
	post, err := postOf(c)
	if err != nil {
		return answerProvider(c, err)
	}
	answer, err := a.Callbacks.Replies(c.Request().Context(), post)
	if err != nil || answer.ContentType == "" {
		return answerProvider(c, err)
	}
	return c.Blob(http.StatusOK, answer.ContentType, []byte(answer.Body))
}

// watchReports records each post of reports that is not answered with 2xx, of any
// cause: the provider repeats it, SendGrid for up to a day, and until then the
// absence of a report proves nothing.
func (a *api) watchReports(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		taken := false
		defer func() {
			if livemode, ok := pathMode(c); ok && !taken {
				a.Callbacks.Missed(c.Request().Context(), c.Param("provider"), invite.Place{Project: c.Param("project"), Live: livemode})
			}
		}()
		err := next(c)
		taken = err == nil && c.Response().Status < http.StatusMultipleChoices
		return err
	}
}

// postOf reads a provider's callback as it came.
func postOf(c echo.Context) (provider.Post, error) {
	livemode, ok := pathMode(c)
	if !ok {
		return provider.Post{}, track.ErrUnknown
	}
	raw, err := rawBody(c)
	if err != nil {
		return provider.Post{}, err
	}
	r := c.Request()
	return provider.Post{
		Provider: c.Param("provider"), Place: invite.Place{Project: c.Param("project"), Live: livemode},
		InviteID: c.Param("invite"), AttemptID: c.Param("attempt"), RequestURI: r.RequestURI, Header: r.Header, Raw: raw,
	}, nil
}

// rawBody reads the bytes as they came: signatures are over those.
func rawBody(c echo.Context) ([]byte, error) {
	raw, err := readSized(c.Request())
	if err != nil {
		return nil, fmt.Errorf("read callback: %w", err)
	}
	// The end of the time to send must not be taken for the caller's leaving
	// while it is being answered.
	_ = http.NewResponseController(c.Response().Writer).SetReadDeadline(time.Now().Add(2 * web.DefaultRequestTimeout))
	return raw, nil
}

// pathMode reads live or test from the path.
func pathMode(c echo.Context) (livemode, ok bool) {
	switch c.Param("mode") {
	case "live":
		return true, true
	case "test":
		return false, true
	}
	return false, false
}

// answerProvider answers a provider. An unknown address is answered like a forged
// signature, so that the existence of projects is not revealed.
func answerProvider(c echo.Context, err error) error {
	switch {
	case err == nil:
		return c.NoContent(http.StatusNoContent)
	case errors.Is(err, track.ErrUnknown):
		return noteRefusal(c, http.StatusForbidden, "callback_unknown")
	case errors.Is(err, track.ErrForged):
		return noteRefusal(c, http.StatusForbidden, "callback_forged")
	case errors.Is(err, track.ErrMalformed):
		return noteRefusal(c, http.StatusBadRequest, "callback_malformed")
	default:
		return err
	}
}

// noteRefusal notes for the log what the answer does not tell.
func noteRefusal(c echo.Context, status int, code string) error {
	web.Note(c, code)
	return c.NoContent(status)
}
