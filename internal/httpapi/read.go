package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/httpapi/strictjson"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/web"
)

const (
	headerIdempotencyKey      = "Idempotency-Key"
	headerIdempotencyReplayed = "Idempotency-Replayed"
	maxIdempotencyKey         = 255
)

// body reads the request's body into a struct. Faults of form come back
// beside it, so that faults of meaning can be added. optional takes an empty
// body for {}.
func body(c echo.Context, into any, optional bool) (raw []byte, faults []invite.Fault, err error) {
	raw, err = io.ReadAll(c.Request().Body)
	if err != nil {
		return nil, nil, fmt.Errorf("read body: %w", err)
	}
	if optional && len(bytes.TrimSpace(raw)) == 0 {
		return raw, nil, nil
	}
	if err := isJSON(c); err != nil {
		return nil, nil, err
	}
	faults, err = strictjson.Decode(raw, into)
	return raw, faults, err
}

// isJSON checks what the headers say of the body.
func isJSON(c echo.Context) error {
	h := c.Request().Header
	if coding := h.Get(echo.HeaderContentEncoding); coding != "" && !strings.EqualFold(coding, "identity") {
		return invite.Errorf(invite.CodeUnsupportedMedia, "Send the body without Content-Encoding.")
	}
	media, params, err := mime.ParseMediaType(h.Get(echo.HeaderContentType))
	charset, given := params["charset"]
	if err != nil || media != echo.MIMEApplicationJSON || given && !strings.EqualFold(charset, "utf-8") {
		return invite.Errorf(invite.CodeUnsupportedMedia, "Send JSON in UTF-8 and say so: Content-Type: application/json.")
	}
	return nil
}

// faulty is the refusal of a request that has faults; nil when it has none.
func faulty(faults []invite.Fault) error {
	if len(faults) == 0 {
		return nil
	}
	return &invite.Error{Code: invite.CodeInvalidRequest, Message: "The request has faults; each is listed with its place.", Faults: faults}
}

// meta gathers what a request brings beside its body. The route holds the
// invite's id: one key used for two invites means two requests.
func meta(c echo.Context, raw []byte, route string) (issue.Meta, error) {
	m := issue.Meta{Body: raw, RequestID: web.RequestID(c.Request().Context()), Route: route}
	switch values := c.Request().Header.Values(headerIdempotencyKey); {
	case len(values) == 0:
		return m, nil
	case len(values) > 1 || !visible(values[0]):
		return m, faulty([]invite.Fault{{
			Pointer: "/" + headerIdempotencyKey, Code: invite.FaultInvalid,
			Detail: fmt.Sprintf("the header must be sent once, with 1 to %d visible ASCII characters and no space", maxIdempotencyKey),
		}})
	default:
		m.IdempotencyKey = values[0]
		return m, nil
	}
}

// visible says whether s is 1 to 255 characters of visible ASCII.
func visible(s string) bool {
	if s == "" || len(s) > maxIdempotencyKey {
		return false
	}
	for _, b := range []byte(s) {
		if b <= ' ' || b > '~' {
			return false
		}
	}
	return true
}

// answer writes v as JSON. Links stay as they are: & is not escaped.
func answer(c echo.Context, status int, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	return c.Blob(status, echo.MIMEApplicationJSON, b.Bytes())
}

// list is the shape of every list.
type list[T any] struct {
	Object     string  `json:"object"`
	Data       []T     `json:"data"`
	HasMore    bool    `json:"has_more"`
	NextCursor *string `json:"next_cursor"`
}

func listOf[T any](data []T, next string) list[T] {
	l := list[T]{Object: "list", Data: data}
	if data == nil {
		l.Data = []T{}
	}
	if next != "" {
		l.HasMore, l.NextCursor = true, &next
	}
	return l
}
