package sandbox

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

func twilioOp(r *http.Request) string {
	list := strings.HasSuffix(r.URL.Path, "/Messages.json")
	switch {
	case list && r.Method == http.MethodPost:
		return "send"
	case list:
		return "list"
	case !strings.Contains(r.URL.Path, "/Messages/"):
		return "account"
	case r.Method == http.MethodPost:
		return "update"
	case r.Method == http.MethodDelete:
		return "delete"
	}
	return "get"
}

func (s *Sandbox) serveTwilio(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Twilio-Concurrent-Requests", "1")
	user, password, _ := r.BasicAuth()
	byKey := user == s.cred.TwilioAPIKey && sameSecret(password, s.cred.TwilioAPISecret)
	byToken := user == s.cred.TwilioAccountSID && sameSecret(password, s.cred.TwilioAuthToken)
	if !byKey && !byToken {
		twilioRefuse(w, http.StatusUnauthorized, 20003, "Authenticate")
		return
	}
	if service, ok := strings.CutPrefix(r.URL.Path, "/v1/Services/"); ok && r.Method == http.MethodGet {
		s.twilioService(w, r, service)
		return
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/2010-04-01/Accounts/")
	path, isJSON := strings.CutSuffix(path, ".json")
	account, path, _ := strings.Cut(path, "/")
	if !ok || !isJSON || account != s.cred.TwilioAccountSID {
		s.twilioNotFound(w, r)
		return
	}
	sid, one := strings.CutPrefix(path, "Messages/")
	switch {
	case path == "" && r.Method == http.MethodGet:
		s.twilioAccount(w)
	case path == "Messages" && r.Method == http.MethodPost:
		s.sendSMS(w, r)
	case path == "Messages" && r.Method == http.MethodGet:
		s.listSMS(w, r)
	case one && !strings.Contains(sid, "/"):
		s.oneSMS(w, r, sid)
	default:
		s.twilioNotFound(w, r)
	}
}

func (s *Sandbox) twilioNotFound(w http.ResponseWriter, r *http.Request) {
	twilioRefuse(w, http.StatusNotFound, 20404, "The requested resource "+r.URL.Path+" was not found")
}

func twilioRefuse(w http.ResponseWriter, status, code int, message string) {
	writeJSON(w, status, jsonType, map[string]any{
		"code": code, "message": message, "status": status,
		"more_info": "https://www.twilio.com/docs/errors/" + strconv.Itoa(code),
	})
}

func (s *Sandbox) twilioAccount(w http.ResponseWriter) {
	sid := s.cred.TwilioAccountSID
	stamp := rfc2822(s.now())
	writeJSON(w, http.StatusOK, jsonType, map[string]any{
		"sid": sid, "owner_account_sid": sid, "friendly_name": "connectlink sandbox", "status": "active", "type": "Full",
		"auth_token": nil, "date_created": stamp, "date_updated": stamp,
		"uri":              "/2010-04-01/Accounts/" + sid + ".json",
		"subresource_uris": map[string]string{"messages": "/2010-04-01/Accounts/" + sid + "/Messages.json"},
	})
}

// sendSMS is POST Messages.json.
func (s *Sandbox) sendSMS(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxSmall)
	if err := r.ParseForm(); err != nil {
		twilioRefuse(w, http.StatusBadRequest, 20001, "The request body could not be read")
		return
	}
	form := r.PostForm
	if code, message := s.smsFault(form); code != 0 {
		twilioRefuse(w, http.StatusBadRequest, code, message)
		return
	}
	c := content{
		From: form.Get("From"), To: form.Get("To"), Text: form.Get("Body"),
		Callback: form.Get("StatusCallback"), Service: form.Get("MessagingServiceSid"), Account: accountOf(r),
	}
	if c.From == "" {
		c.From = s.cred.TwilioFrom
	}
	f := s.fates.text(c.To)
	if f.name == "stops" {
		on, _, err := s.findSuppression(r.Context(), optOuts, c.To)
		if err != nil {
			s.ownFault(w, twilio, "send", err)
			return
		}
		if on != nil {
			twilioRefuse(w, http.StatusBadRequest, 21610, "Attempt to send to unsubscribed recipient")
			return
		}
	}
	invite, attempt := idsInPath(c.Callback)
	id, err := s.take(r.Context(), sms, c, attempt, invite, f)
	if err != nil {
		s.ownFault(w, twilio, "send", err)
		return
	}
	row := smsRow{ID: id, Status: "accepted", CreatedAt: s.now(), UpdatedAt: s.now()}
	if c.Service == "" {
		row.Status = "queued"
	}
	writeJSON(w, http.StatusCreated, jsonType, s.smsJSON(row, c))
}

// smsFault is Twilio's first complaint about a send, 0 for none.
func (s *Sandbox) smsFault(form url.Values) (code int, message string) {
	to, body := form.Get("To"), form.Get("Body")
	switch {
	case to == "":
		return 21604, "A 'To' phone number is required."
	case form.Get("From") == "" && form.Get("MessagingServiceSid") == "":
		return 21603, "A 'From' phone number is required."
	case body == "" && form.Get("ContentSid") == "" && len(form["MediaUrl"]) == 0:
		return 21602, "Message body is required."
	case utf8.RuneCountInString(body) > 1600:
		return 21617, "The concatenated message body exceeds the 1600 character limit"
	case form.Get("MessagingServiceSid") != "" && form.Get("MessagingServiceSid") != s.cred.TwilioMessagingServiceSID:
		return 21701, "The Messaging Service does not exist"
	case form.Get("From") != "" && form.Get("From") != s.cred.TwilioFrom:
		return 21606, "The 'From' phone number provided is not a valid message-capable Twilio phone number for this destination."
	}
	if v := form.Get("ValidityPeriod"); v != "" {
		if n, err := strconv.Atoi(v); err != nil || n < 1 || n > 36000 {
			return 21624, "Validity Period is out of range"
		}
	}
	if v := form.Get("StatusCallback"); v != "" && !callbackAllowed(v) {
		return 21609, "The 'StatusCallback' URL is not a valid URL"
	}
	if code, refused := smsRefusal(to); refused {
		return code, map[int]string{
			21211: "Invalid 'To' Phone Number",
			21612: "The 'To' phone number is not currently reachable via SMS",
			21408: "Permission to send an SMS has not been enabled for the region",
			21610: "Attempt to send to unsubscribed recipient",
			21614: "'To' number is not a valid mobile number",
		}[code]
	}
	if !e164(to) {
		return 21211, "Invalid 'To' Phone Number"
	}
	return 0, ""
}

// callbackAllowed: an absolute http URL whose host is a valid host name, which
// excludes underscores.
func callbackAllowed(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && !strings.Contains(u.Hostname(), "_")
}

func e164(number string) bool {
	digits, ok := strings.CutPrefix(number, "+")
	if !ok || len(digits) < 7 || len(digits) > 15 || digits[0] == '0' {
		return false
	}
	return strings.Trim(digits, "0123456789") == ""
}

// idsInPath finds our caller's opaque ids, which travel in the callback's
// path: the ledger counts by them.
func idsInPath(callback string) (invite, attempt string) {
	u, err := url.Parse(callback)
	if err != nil {
		return "", ""
	}
	for seg := range strings.SplitSeq(u.Path, "/") {
		switch {
		case strings.HasPrefix(seg, "inv_"):
			invite = seg
		case strings.HasPrefix(seg, "att_"):
			attempt = seg
		}
	}
	return invite, attempt
}

// oneSMS is GET, POST (redact) and DELETE of one message.
func (s *Sandbox) oneSMS(w http.ResponseWriter, r *http.Request, sid string) {
	id, ok := parseSMSSID(sid)
	if !ok {
		s.twilioNotFound(w, r)
		return
	}
	row, c, found, err := s.findSMS(r.Context(), id)
	if err != nil {
		s.ownFault(w, twilio, "get", err)
		return
	}
	if !found {
		s.twilioNotFound(w, r)
		return
	}
	switch r.Method {
	case http.MethodGet:
		writeJSON(w, http.StatusOK, jsonType, s.smsJSON(row, c))
	case http.MethodPost:
		r.Body = http.MaxBytesReader(w, r.Body, maxSmall)
		if err := r.ParseForm(); err != nil {
			twilioRefuse(w, http.StatusBadRequest, 20001, "The request body could not be read")
			return
		}
		s.updateSMS(w, r, row, c)
	case http.MethodDelete:
		if !ended(row.Status) {
			twilioRefuse(w, http.StatusConflict, 20009, "Message resource cannot be deleted while it is being processed")
			return
		}
		if err := s.deleteSMS(r.Context(), id); err != nil {
			s.ownFault(w, twilio, "delete", err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		twilioRefuse(w, http.StatusMethodNotAllowed, 20004, "Method not allowed")
	}
}

// updateSMS redacts: an empty Body is the only update a sent message knows.
func (s *Sandbox) updateSMS(w http.ResponseWriter, r *http.Request, row smsRow, c content) {
	if body, given := r.PostForm["Body"]; !given || body[0] != "" {
		twilioRefuse(w, http.StatusBadRequest, 20001, "Only an empty Body may be given")
		return
	}
	if !ended(row.Status) && row.Status != "sent" {
		twilioRefuse(w, http.StatusBadRequest, 20009, "Cannot redact a message that is still being sent")
		return
	}
	c.Text = ""
	sealed, err := s.sealContent(row.ID, c)
	if err == nil {
		row.UpdatedAt = s.now()
		_, err = s.db.Exec(r.Context(), `UPDATE sandbox.messages SET content = $2, updated_at = $3 WHERE id = $1`, row.ID, sealed, row.UpdatedAt)
	}
	if err != nil {
		s.ownFault(w, twilio, "update", fmt.Errorf("redact message %s: %w", row.ID, err))
		return
	}
	writeJSON(w, http.StatusOK, jsonType, s.smsJSON(row, c))
}

// deleteSMS forgets the content and keeps the row: the ledger still counts it.
func (s *Sandbox) deleteSMS(ctx context.Context, id uuid.UUID) error {
	if _, err := s.db.Exec(ctx, `UPDATE sandbox.messages SET content = NULL, deleted_at = $2 WHERE id = $1`, id, s.now()); err != nil {
		return fmt.Errorf("delete message %s: %w", id, err)
	}
	return nil
}

func ended(status string) bool {
	switch status {
	case "delivered", "undelivered", "failed", "canceled":
		return true
	}
	return false
}

func rfc2822(t time.Time) string { return t.UTC().Format("Mon, 02 Jan 2006 15:04:05 +0000") }
