package sendgrid

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/sendgrid/rest"

	"github.com/connectlink/connectlink/internal/provider"
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
func (s *Sender) verdict(resp *rest.Response, readErr error) *provider.SendError {
	h := http.Header(resp.Headers)
	e := &provider.SendError{
		Provider:   Provider,
		Outcome:    provider.Outcome(wire.ClassifyStatus(resp.StatusCode)),
		Scope:      provider.ScopeMessage,
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
		e.Scope = provider.ScopeAccount
		e.RetryAfter = wire.RetryAfter(h, s.p.Now())
	case status >= 500 || status == http.StatusRequestTimeout:
		e.RetryAfter = wire.RetryAfter(h, s.p.Now())
	case status == http.StatusBadRequest && fault.ours():
		e.Scope = provider.ScopeAccount
	case status == http.StatusBadRequest || status == http.StatusRequestEntityTooLarge || status == http.StatusUnsupportedMediaType:
		// this message
	case status >= 300 && status < 500:
		// 401 and 403 (key, unverified sender, blocked address of ours, no
		// credits), 404 and 3xx (wrong base URL): every message meets them.
		e.Scope = provider.ScopeAccount
	}
	return classifyError(e)
}

// ours reports whether a refusal names a configured value, by its field or by its
// words, so that every message would be refused
// (https://www.twilio.com/docs/sendgrid/api-reference/mail-send/errors).
func (p problem) ours() bool {
	for _, e := range p.Errors {
		if oursByField(e.Field) || e.Field == "" && oursByWords(strings.ToLower(e.Message)) {
			return true
		}
	}
	return false
}

func oursByField(field string) bool {
	for _, name := range []string{
		"from", "reply_to", "reply_to_list", "ip_pool_name", "asm", "categories", "headers", "tracking_settings", "mail_settings", "template_id", "batch_id",
	} {
		if field == name || strings.HasPrefix(field, name+".") {
			return true
		}
	}
	return false
}

func oursByWords(words string) bool {
	for _, sign := range []string{
		"sender identity", "from address", "from email", "from field", "from object", "the from", "reply_to", "reply-to", "unsubscribe group", "asm group",
		"ip pool", "ip_pool", "your account", "api key", "subuser", "credits",
	} {
		if strings.Contains(words, sign) {
			return true
		}
	}
	return false
}
