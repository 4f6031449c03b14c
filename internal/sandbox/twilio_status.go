package sandbox

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// postSMSStatuses posts one message's statuses, each in its own request and in
// the order they happened: across messages, and with retries, order is lost
// as it is at Twilio.
func (s *Sandbox) postSMSStatuses(ctx context.Context, batch []*dueEvent) {
	fault := s.faults.callbacks(twilio)
	if fault.Shuffle {
		slices.Reverse(batch)
	}
	for _, e := range batch {
		c, err := s.openContent(*e.MessageID, e.Content)
		if err != nil {
			s.log.Error("sandbox sms status", "err", err)
			continue
		}
		for range 1 + fault.Copies + s.extraCopies(ctx, c.account(), FaultySMS) {
			s.postSMSStatus(ctx, e, c)
		}
	}
}

func (s *Sandbox) postSMSStatus(ctx context.Context, e *dueEvent, c content) {
	if c.Via != "" {
		s.postBy(ctx, e, c)
		return
	}
	target, retry := splitCallback(c.Callback)
	form := s.smsStatusForm(e, c)
	if e.Name == repliedStop {
		// A webhook of the sender's, not of the message's, and so without the
		// message's overrides.
		target, retry = splitCallback(s.inboundURL(c.account()))
		form = s.stopForm(e, c)
	}
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		return
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	req.Header.Set("User-Agent", "TwilioProxy/1.1")
	req.Header.Set("Accept", "*/*")
	req.Header.Set("X-Twilio-Signature", signForm(s.cred.TwilioAuthToken.Reveal(), target, form))
	req.Header.Set("I-Twilio-Idempotency-Token", e.ID.String())
	e.next = nil
	res, err := s.http.Do(req)
	if err == nil {
		e.answer = res.StatusCode
		drain(res)
	} else {
		e.answer = 0
	}
	if e.Tries <= retry.count && retry.covers(e.answer, err) {
		s.again(e)
	}
}

// repliedStop is what happened when the person texted STOP.
const repliedStop = "replied_stop"

// stopForm is a message from a person to our sender, as Advanced Opt-Out
// announces it: obeyed and answered already.
func (s *Sandbox) stopForm(e *dueEvent, c content) url.Values {
	sid := smsSID(e.ID)
	form := url.Values{
		"AccountSid": {s.cred.TwilioAccountSID}, "ApiVersion": {"2010-04-01"}, "MessageSid": {sid}, "SmsSid": {sid}, "SmsMessageSid": {sid},
		"From": {c.To}, "To": {c.From}, "Body": {"Stop"}, "OptOutType": {"STOP"}, "NumMedia": {"0"}, "NumSegments": {"1"}, "SmsStatus": {"received"},
	}
	if c.Service != "" {
		form.Set("MessagingServiceSid", c.Service)
	}
	return form
}

func (s *Sandbox) smsStatusForm(e *dueEvent, c content) url.Values {
	sid := smsSID(*e.MessageID)
	form := url.Values{
		"AccountSid":    {s.cred.TwilioAccountSID},
		"ApiVersion":    {"2010-04-01"},
		"MessageSid":    {sid},
		"SmsSid":        {sid},
		"MessageStatus": {e.Name},
		"SmsStatus":     {e.Name},
		"To":            {c.To},
		"From":          {c.From},
	}
	if c.Service != "" {
		form.Set("MessagingServiceSid", c.Service)
	}
	if e.Name == "delivered" {
		form.Set("RawDlrDoneDate", e.HappenedAt.UTC().Format("0601021504"))
	}
	for k, v := range e.Extra { // ErrorCode
		form.Set(k, v)
	}
	return form
}

// signForm is X-Twilio-Signature: the URL as configured, without fragment,
// then every key and value in byte order of the keys, under HMAC-SHA1.
func signForm(token, target string, form url.Values) string {
	mac := hmac.New(sha1.New, []byte(token))
	_, _ = io.WriteString(mac, target)
	keys := make([]string, 0, len(form))
	for k := range form {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		_, _ = io.WriteString(mac, k+form.Get(k))
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// retryRule is what a callback URL's fragment asks for: "#rc=3&rp=4xx,5xx".
type retryRule struct {
	count int      // retries after the first try, at most 5
	on    []string // 4xx, 5xx, ct (connect timeout), rt (read timeout), all
}

// splitCallback takes the fragment off: it is an instruction to Twilio, no
// part of the request or of the signature.
func splitCallback(callback string) (target string, r retryRule) {
	target, fragment, _ := strings.Cut(callback, "#")
	r = retryRule{count: 1, on: []string{"ct"}}
	q, err := url.ParseQuery(fragment)
	if err != nil {
		return target, r
	}
	if n, err := strconv.Atoi(q.Get("rc")); err == nil {
		r.count = min(max(n, 0), 5)
	}
	if rp := q.Get("rp"); rp != "" {
		r.on = strings.Split(rp, ",")
	}
	return target, r
}

func (r retryRule) covers(status int, err error) bool {
	class := ""
	switch {
	case status/100 == 4:
		class = "4xx"
	case status/100 == 5:
		class = "5xx"
	case err != nil:
		class = "rt"
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			class = "ct"
		}
	default:
		return false
	}
	return slices.Contains(r.on, class) || slices.Contains(r.on, "all")
}

func drain(res *http.Response) {
	_, _ = io.CopyN(io.Discard, res.Body, 64<<10)
	_ = res.Body.Close()
}
