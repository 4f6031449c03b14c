package sendgrid

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/sendgrid/rest"

	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/wire"
)

// problem is SendGrid's error body.
type problem struct {
	ID     string `json:"id"`
	Errors []struct {
		Message string `json:"message"`
		Field   string `json:"field"`
	} `json:"errors"`
}

// verdict reads an answer that is not 202. readErr, if any, says that the body
// is incomplete; the status line decides all the same.
func (s *Sender) verdict(resp *rest.Response, readErr error) *message.SendError {
	h := http.Header(resp.Headers)
	e := &message.SendError{
		Provider:   Provider,
		Outcome:    message.Outcome(wire.ClassifyStatus(resp.StatusCode)),
		Scope:      message.ScopeMessage,
		HTTPStatus: resp.StatusCode,
	}
	if readErr != nil {
		e.Err = wire.Strip(readErr)
	}
	var fault problem
	if wire.IsJSON(h) && json.Unmarshal([]byte(resp.Body), &fault) == nil && len(fault.Errors) > 0 {
		words := make([]string, 0, len(fault.Errors))
		for _, one := range fault.Errors {
			words = append(words, strings.TrimSpace(one.Field+": "+one.Message))
		}
		e.Detail = secret.New(strings.Join(words, "; "))
		e.ProviderCode = wire.Code(fault.Errors[0].Field)
	}
	switch status := resp.StatusCode; {
	case status == http.StatusTooManyRequests:
		e.Scope = message.ScopeAccount
		e.RetryAfter = wire.RetryAfter(h, s.p.Now())
	case status >= 500 || status == http.StatusRequestTimeout:
		e.RetryAfter = wire.RetryAfter(h, s.p.Now())
	case status == http.StatusBadRequest && e.ProviderCode != "" && ours(e.ProviderCode):
		e.Scope = message.ScopeAccount
	case status == http.StatusBadRequest || status == http.StatusRequestEntityTooLarge || status == http.StatusUnsupportedMediaType:
		// this message
	case status >= 300 && status < 500:
		// 401 and 403 (key, unverified sender, blocked address of ours, no
		// credits), 404 and 3xx (wrong base URL): every message meets them.
		e.Scope = message.ScopeAccount
	}
	return e
}

// ours says whether a refused field comes from configuration, so that every
// message would meet the same refusal.
func ours(field string) bool {
	for _, name := range []string{"from", "reply_to", "ip_pool_name", "categories", "headers", "tracking_settings", "mail_settings"} {
		if field == name || strings.HasPrefix(field, name+".") {
			return true
		}
	}
	return false
}
