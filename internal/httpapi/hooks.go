package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/track"
	"github.com/connectlink/connectlink/internal/web"
)

// Callbacks are answered with bare statuses: machines of others read them, and
// whoever guesses at them learns nothing. 2xx comes only after the commit;
// anything else makes the provider try again, which is what a fault of ours
// should do.

func (a *api) pipedream(c echo.Context) error {
	raw, err := rawBody(c)
	if err != nil {
		return err
	}
	return taken(c, a.Callbacks.Pipedream(c.Request().Context(), secret.New(c.Param("secret")), raw))
}

func (a *api) sendgrid(c echo.Context) error {
	livemode, ok := mode(c)
	if !ok {
		return taken(c, track.ErrUnknown)
	}
	raw, err := rawBody(c)
	if err != nil {
		return err
	}
	return taken(c, a.Callbacks.SendGrid(c.Request().Context(), c.Param("project"), livemode, raw, c.Request().Header))
}

// watchMail records each post of SendGrid's that is not answered with 2xx, of
// any cause: SendGrid repeats it for up to a day, and until then the
// absence of a report proves nothing.
func (a *api) watchMail(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		taken := false
		defer func() {
			if livemode, ok := mode(c); ok && !taken {
				a.Callbacks.MissedMail(c.Request().Context(), c.Param("project"), livemode)
			}
		}()
		err := next(c)
		taken = err == nil && c.Response().Status < http.StatusMultipleChoices
		return err
	}
}

func (a *api) twilio(c echo.Context) error {
	text, err := textOf(c)
	if err != nil {
		return taken(c, err)
	}
	return taken(c, a.Callbacks.Twilio(c.Request().Context(), text))
}

// noReply tells Twilio to answer nothing: it has answered STOP, START and HELP
// itself, and a second answer would be ours to pay and theirs to wonder at.
const noReply = `<?xml version="1.0" encoding="UTF-8"?><Response/>`

func (a *api) reply(c echo.Context) error {
	text, err := textOf(c)
	if err == nil {
		err = a.Callbacks.Reply(c.Request().Context(), text)
	}
	if err != nil {
		return taken(c, err)
	}
	return c.Blob(http.StatusOK, echo.MIMETextXML, []byte(noReply))
}

// textOf reads a callback of Twilio's as it came.
func textOf(c echo.Context) (track.Text, error) {
	livemode, ok := mode(c)
	if !ok {
		return track.Text{}, track.ErrUnknown
	}
	raw, err := rawBody(c)
	if err != nil {
		return track.Text{}, err
	}
	r := c.Request()
	return track.Text{
		Project: c.Param("project"), Livemode: livemode, Invite: c.Param("invite"), Attempt: c.Param("attempt"),
		RequestURI: r.RequestURI, ContentType: r.Header.Get(echo.HeaderContentType),
		Signature: r.Header.Get("X-Twilio-Signature"), Raw: raw,
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

// mode reads live or test from the path.
func mode(c echo.Context) (livemode, ok bool) {
	switch c.Param("mode") {
	case "live":
		return true, true
	case "test":
		return false, true
	}
	return false, false
}

// taken answers a provider. An unknown address is answered like a forged
// signature, so that nobody can find out which projects exist.
func taken(c echo.Context, err error) error {
	switch {
	case err == nil:
		return c.NoContent(http.StatusNoContent)
	case errors.Is(err, track.ErrUnknown):
		return refused(c, http.StatusForbidden, "callback_unknown")
	case errors.Is(err, track.ErrForged):
		return refused(c, http.StatusForbidden, "callback_forged")
	case errors.Is(err, track.ErrMalformed):
		return refused(c, http.StatusBadRequest, "callback_malformed")
	default:
		return err
	}
}

// refused notes for the log what the answer does not tell.
func refused(c echo.Context, status int, code string) error {
	web.Note(c, code)
	return c.NoContent(status)
}
