package linkpage

import (
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/page"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/visit"
)

// asked shows a page that answers a press. That digits are on their way has a
// page of its own, so that a reload does not press again.
func (h *handler) asked(c echo.Context, p visit.Page, x extra) error {
	if p.State == visit.Verify && !p.Held && p.Verification.Channel != "" {
		return c.Redirect(http.StatusSeeOther, "/c/"+url.PathEscape(c.Param("code"))+"/verify"+h.andLanguage(c, "?"))
	}
	return h.show(c, p, x)
}

func (h *handler) verify(c echo.Context) error {
	page, err := h.Visits.Verifying(c.Request().Context(), codeOf(c))
	if err != nil {
		return err
	}
	return h.show(c, page, extra{})
}

// enter takes the digits. Who has them right goes on by this very answer.
func (h *handler) enter(c echo.Context) error {
	form, err := readForm(c)
	if err != nil {
		return err
	}
	pressed, err := h.Visits.EnterPasscode(c.Request().Context(), codeOf(c), secret.New(form.Get("code")), formEvidence(c, form))
	if err != nil {
		return err
	}
	if pressed.URL.IsZero() {
		return h.show(c, pressed.Page, extra{})
	}
	return c.Redirect(http.StatusSeeOther, pressed.URL.Reveal())
}

func (h *handler) again(c echo.Context) error {
	form, err := readForm(c)
	if err != nil {
		return err
	}
	page, err := h.Visits.SendPasscode(c.Request().Context(), codeOf(c), formEvidence(c, form))
	if err != nil {
		return err
	}
	return h.asked(c, page, extra{})
}

// returned is the page for a return URL whose app did not open. Anyone can
// write the outcome in its address, so the handler looks nothing up by it,
// and the page does not repeat it.
func (h *handler) returned(c echo.Context) error {
	return writeAs(c, h.Pages, page.Returned.Status(), page.Returned, "", page.Data{})
}
