package sandbox

import (
	"context"
	"net/http"
)

// textVendor is the stand-in of another provider of texts beside Twilio's. Its
// messages have the same fates, and statuses become due as Twilio's do; only its
// protocol differs.
type textVendor struct {
	serve http.HandlerFunc // its API
	// request makes the post of an event about a message; nil: nothing is posted.
	request func(ctx context.Context, e *dueEvent, c content) (*http.Request, error)
}

// textVendors are those stand-ins by name, under which they are mounted.
func (s *Sandbox) textVendors() map[string]textVendor {
	return map[string]textVendor{vonage: s.vonageTexts()}
}

// textOp is what a request to one of them does.
func textOp(r *http.Request) string {
	if r.Method == http.MethodPost {
		return "send"
	}
	return "get"
}

// postBy posts an event by the stand-in that took its message, and again when it
// was not answered with 2xx.
func (s *Sandbox) postBy(ctx context.Context, e *dueEvent, c content) {
	v, ok := s.textVendors()[c.Via]
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	e.next = nil
	req, err := v.request(ctx, e, c)
	if err != nil || req == nil {
		return
	}
	res, err := s.http.Do(req)
	if err != nil {
		e.answer = 0
	} else {
		e.answer = res.StatusCode
		drain(res)
	}
	if (err != nil || e.answer/100 != 2) && e.Tries <= textTries {
		s.again(e)
	}
}

// textTries is how often such a post is repeated.
const textTries = 5
