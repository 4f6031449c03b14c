package httpapi

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/compose"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/message"
)

// Previews shows what an invite would look like; *issue.Service does.
type Previews interface {
	Preview(ctx context.Context, p access.Principal, req issue.CreateRequest, lang string) ([]issue.Preview, error)
}

type previewed struct {
	Object   string       `json:"object"`
	Livemode bool         `json:"livemode"`
	Previews []previewOne `json:"previews"`
	// Warnings are those that a create would answer.
	Warnings []issue.Warning `json:"warnings,omitempty"`
}

type previewOne struct {
	Language  string                `json:"language"`
	Direction string                `json:"direction"`
	Email     previewEmail          `json:"email"`
	SMS       previewSMS            `json:"sms"`
	Pages     []compose.PreviewPage `json:"pages"`
	Warnings  []message.Warning     `json:"warnings"`
}

type previewEmail struct {
	Subject string `json:"subject"`
	Text    string `json:"text"`
	HTML    string `json:"html"`
}

type previewSMS struct {
	Text     string `json:"text"`
	Encoding string `json:"encoding"`
	Units    int    `json:"units"`
	Segments int    `json:"segments"`
}

// preview takes the body of a create and makes nothing of it. The links in the
// answer lead nowhere, so it needs no scope to see links.
func (a *api) preview(c echo.Context) error {
	q := parseQuery(c)
	lang := q.text("language", 35)
	faults := q.faults
	if err := q.done("language"); err != nil {
		return err
	}
	var req issue.CreateRequest
	_, more, err := bindBody(c, &req, false)
	if err != nil {
		return err
	}
	p := keyPrincipal(c)
	if faults = append(faults, more...); len(faults) > 0 {
		return faultsError(a.complete(p, req, faults))
	}
	seen, err := a.Previews.Preview(c.Request().Context(), p, req, lang)
	if err != nil {
		return err
	}
	out := previewed{Object: "invite_preview", Livemode: p.Live, Previews: make([]previewOne, 0, len(seen))}
	for _, s := range seen {
		out.Warnings = s.Changed
		out.Previews = append(out.Previews, previewOne{
			Language: s.Language, Direction: s.Dir,
			Email:    previewEmail{Subject: s.Email.Subject, Text: s.Email.Text.Reveal(), HTML: s.Email.HTML.Reveal()},
			SMS:      previewSMS{Text: s.SMS.Body.Reveal(), Encoding: string(s.Encoding), Units: s.Units, Segments: s.SMS.Segments},
			Pages:    append([]compose.PreviewPage{}, s.Pages...),
			Warnings: append([]message.Warning{}, s.Warnings...),
		})
	}
	return writeJSON(c, http.StatusOK, out)
}
