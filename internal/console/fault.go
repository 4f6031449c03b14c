package console

import (
	"bytes"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/web"
)

// faultPage says that something did not work, and what to do.
type faultPage struct {
	*view.Base
	Text, Reference, Again string
}

// render answers with a page.
func (s *console) render(c echo.Context, status int, name string, data view.Page) error {
	var b bytes.Buffer
	if err := s.Pages.Render(&b, name, data); err != nil {
		return err
	}
	return c.HTMLBlob(status, b.Bytes())
}

// tell answers with a title and a sentence.
func (s *console) tell(c echo.Context, b *view.Base, status int, title, text, again string) error {
	b.Title = title
	return s.render(c, status, "fault", faultPage{Base: b, Text: text, Again: again, Reference: web.RequestID(c.Request().Context())})
}

// fault shows a failure as a page. Package web chooses the status and writes
// the log.
func (s *console) fault(c echo.Context, p web.Problem) error {
	b := s.stranger(c)
	again := ""
	if c.Request().Method == http.MethodGet {
		again = b.Here
	}
	switch p.Code {
	case invite.CodeUnavailable:
		return s.tell(c, b, p.Status, b.T("The service cannot answer right now"), b.T("Nothing is lost. Try again in a minute."), again)
	case invite.CodeNotFound, invite.CodeInviteNotFound, invite.CodeDeliveryNotFound, invite.CodeEventNotFound, invite.CodeEndpointNotFound, invite.CodeMessageNotFound, invite.CodeSuppressionNotFound, invite.CodeMethodNotAllowed:
		return s.tell(c, b, p.Status, b.T("Page not found"), b.T("The address may be mistyped, or it belongs to another project or mode."), "")
	case invite.CodeTooLarge:
		return s.tell(c, b, p.Status, b.T("Too large"), b.T("This form is too large."), "")
	case invite.CodeRateLimited:
		return s.tell(c, b, p.Status, b.T("Too many requests"), b.T("Wait a minute, then try again."), again)
	case invite.CodeInternal:
		return s.tell(c, b, p.Status, b.T("Something went wrong on our side"), b.T("The error is logged. Quote the reference when you report it."), again)
	}
	if b.Lang != "en" { // a problem's title and detail are English
		return s.tell(c, b, p.Status, b.T("The request was rejected"), b.T("Go back, reload the page and try again."), again)
	}
	return s.tell(c, b, p.Status, p.Title, p.Detail, again)
}

// nowhere is every address below /console that is none of ours.
func (s *console) nowhere(c echo.Context) error {
	p, ok, err := s.enter(c)
	if err != nil || !ok {
		return err
	}
	return p.missing()
}
