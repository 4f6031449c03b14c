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

// bindBody reads the request's body into a struct. Faults of form come back
// beside it, so that faults of meaning can be added. optional accepts an empty
// body, and PHP's empty map [], for {}.
func bindBody(c echo.Context, into any, optional bool) (raw []byte, faults []invite.Fault, err error) {
	raw, err = io.ReadAll(c.Request().Body)
	if err != nil {
		return nil, nil, fmt.Errorf("read body: %w", err)
	}
	trimmed := bytes.TrimSpace(raw)
	if optional && len(trimmed) == 0 {
		return raw, nil, nil
	}
	if err := isJSON(c); err != nil {
		return nil, nil, err
	}
	if optional && len(trimmed) >= 2 && trimmed[0] == '[' && len(bytes.TrimSpace(trimmed[1:])) == 1 && trimmed[len(trimmed)-1] == ']' {
		return raw, nil, nil
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
		return invite.Errorf(invite.CodeUnsupportedMedia, "Send JSON in UTF-8, with Content-Type: application/json.")
	}
	return nil
}

// faultsError is the refusal of a request that has faults; nil when it has none.
func faultsError(faults []invite.Fault) error {
	if len(faults) == 0 {
		return nil
	}
	return &invite.Error{Code: invite.CodeInvalidRequest, Message: "The request has faults; each is listed with its place.", Faults: faults}
}

// requestMeta gathers what a request brings beside its body. The route holds the
// invite's id: one key used for two invites means two requests.
func requestMeta(c echo.Context, raw []byte, route string) (issue.Meta, error) {
	m := issue.Meta{Body: raw, RequestID: web.RequestID(c.Request().Context()), Route: route}
	values := c.Request().Header.Values(headerIdempotencyKey)
	if len(values) == 0 {
		return m, nil
	}
	key, wrong := idempotencyKey(values)
	if wrong != "" {
		return m, faultsError([]invite.Fault{{Pointer: "/" + headerIdempotencyKey, Code: invite.FaultInvalid, Detail: wrong}})
	}
	m.IdempotencyKey, m.IdempotencyKeyAsSent = key, values[0]
	return m, nil
}

// idempotencyKey reads the header's value. The draft of the header (HTTP
// Idempotency-Key, draft-ietf-httpapi-idempotency-key-header) writes a structured
// string: "k" is the key k. Most clients send the key alone. wrong is the fault
// of the value.
func idempotencyKey(values []string) (key, wrong string) {
	if len(values) > 1 {
		return "", "the header is given more than once"
	}
	key = values[0]
	if strings.HasPrefix(key, `"`) {
		var ok bool
		if key, ok = structuredString(key); !ok {
			return "", "begins with a quote and is not a quoted string (RFC 8941): it needs a closing quote, and \\ before a quote or a backslash inside"
		}
	}
	switch {
	case strings.TrimSpace(key) == "":
		return "", fmt.Sprintf("is empty; send 1 to %d visible ASCII characters, for example a UUID, or leave the header out", maxIdempotencyKey)
	case !isVisibleASCII(key):
		return "", fmt.Sprintf("must be 1 to %d visible ASCII characters and no space", maxIdempotencyKey)
	}
	return key, ""
}

// structuredString reads a String of RFC 8941, section 3.3.3; ok is false where
// it is none.
func structuredString(s string) (text string, ok bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), i == len(s)-1
		case '\\':
			if i++; i >= len(s) || s[i] != '"' && s[i] != '\\' {
				return "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", false
}

// isVisibleASCII reports whether s is 1 to 255 characters of visible ASCII.
func isVisibleASCII(s string) bool {
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

// writeJSON writes v as JSON. Links stay as they are: & is not escaped.
func writeJSON(c echo.Context, status int, v any) error {
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
