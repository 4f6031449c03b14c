package twilio

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
)

// ErrBody: the body is neither a form nor a flat JSON object.
var ErrBody = errors.New("neither a form nor a JSON object")

// ParseBody reads a callback's body: a form, as Twilio posts by default, or a
// JSON object, whose digest is then in the signed URL. A form never begins with
// a brace, which it would have escaped.
func ParseBody(raw []byte) (url.Values, error) {
	if trimmed := bytes.TrimSpace(raw); len(trimmed) == 0 || trimmed[0] != '{' {
		form, err := url.ParseQuery(string(raw))
		if err != nil {
			return nil, ErrBody
		}
		return form, nil
	}
	var object map[string]any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&object) != nil || d.More() {
		return nil, ErrBody
	}
	form := make(url.Values, len(object))
	for k, v := range object {
		switch v := v.(type) {
		case string, json.Number, bool:
			form.Set(k, fmt.Sprint(v))
		}
	}
	return form, nil
}
