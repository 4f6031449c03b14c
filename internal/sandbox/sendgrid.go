package sandbox

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/secret"
)

func sendgridOp(r *http.Request) string {
	switch {
	case r.URL.Path == "/v3/mail/send":
		return "send"
	case r.URL.Path == "/v3/scopes":
		return "scopes"
	case strings.HasPrefix(r.URL.Path, "/v3/suppression/"):
		return "suppressions"
	}
	return "settings"
}

func (s *Sandbox) serveSendGrid(w http.ResponseWriter, r *http.Request) {
	key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || !sameSecret(key, s.cred.SendGridAPIKey) {
		sendgridRefuse(w, http.StatusUnauthorized, sendgridFault{Message: "The provided authorization grant is invalid, expired, or revoked"})
		return
	}
	path := r.URL.Path
	switch {
	case path == "/v3/mail/send":
		if r.Method != http.MethodPost {
			sendgridRefuse(w, http.StatusMethodNotAllowed, sendgridFault{Message: "method not allowed"})
			return
		}
		s.sendMail(w, r)
	case path == "/v3/scopes" && r.Method == http.MethodGet:
		writeJSON(w, http.StatusOK, jsonType, map[string]any{"scopes": []string{"mail.send", "suppression.read", "suppression.delete", "user.webhooks.event.settings.read"}})
	case path == "/v3/user/webhooks/event/settings" && r.Method == http.MethodGet:
		writeJSON(w, http.StatusOK, jsonType, s.eventSettings(accountOf(r)))
	case strings.HasPrefix(path, "/v3/suppression/"):
		s.serveSuppressions(w, r)
	default:
		sendgridRefuse(w, http.StatusNotFound, sendgridFault{Message: "not found"})
	}
}

const jsonType = "application/json"

// eventSettings is what a check of the deployment asks: are receipts on?
func (s *Sandbox) eventSettings(account string) map[string]any {
	target := s.eventsURL(account)
	on := target != ""
	out := map[string]any{"enabled": on, "url": target, "open": false, "click": false, "public_key": s.cred.SendGridWebhookPublicKey}
	for _, e := range []string{"processed", "deferred", "delivered", "bounce", "dropped", "spam_report"} {
		out[e] = on
	}
	return out
}

// sendgridFault is one entry of SendGrid's error body.
type sendgridFault struct {
	Message string  `json:"message"`
	Field   *string `json:"field"`
	Help    *string `json:"help"`
}

func mailFault(field, message string) sendgridFault {
	help := "http://sendgrid.com/docs/API_Reference/Web_API_v3/Mail/errors.html#message." + strings.Split(field, ".")[0]
	return sendgridFault{Message: message, Field: &field, Help: &help}
}

func sendgridRefuse(w http.ResponseWriter, status int, faults ...sendgridFault) {
	writeJSON(w, status, jsonType, map[string]any{"errors": faults})
}

// sendgridThrottled is a 429 with the three documented headers. Retry-After is
// not documented and not sent.
func (s *Sandbox) sendgridThrottled(w http.ResponseWriter, reset time.Duration) {
	w.Header().Set("X-RateLimit-Limit", "600")
	w.Header().Set("X-RateLimit-Remaining", "0")
	w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(s.now().Add(reset).Unix(), 10))
	sendgridRefuse(w, http.StatusTooManyRequests, sendgridFault{Message: "too many requests"})
}

func (s *Sandbox) sendMail(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMail))
	if err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			// nginx answers before the API does: HTML, not JSON.
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			_, _ = io.WriteString(w, "<html><head><title>413 Request Entity Too Large</title></head></html>")
		}
		return // else the caller hung up in the middle: nothing was taken
	}
	if t, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); strings.TrimSpace(t) != jsonType {
		sendgridRefuse(w, http.StatusUnsupportedMediaType, sendgridFault{Message: "Content-Type should be application/json."})
		return
	}
	var m mailSend
	if err := json.Unmarshal(raw, &m); err != nil {
		sendgridRefuse(w, http.StatusBadRequest, sendgridFault{Message: "Bad Request"})
		return
	}
	if faults := m.faults(s.now()); len(faults) > 0 {
		sendgridRefuse(w, http.StatusBadRequest, faults...)
		return
	}
	if m.MailSettings.SandboxMode.Enable {
		w.WriteHeader(http.StatusOK) // validated only: 200, not 202
		return
	}
	for _, c := range m.contents() {
		c.Account = accountOf(r)
		f, refused, err := s.mailFateFor(r.Context(), c)
		if refused {
			sendgridRefuse(w, http.StatusServiceUnavailable, sendgridFault{Message: "service unavailable"})
			return
		}
		if err != nil {
			s.ownFault(w, sendgrid, "send", err)
			return
		}
		id, err := s.take(r.Context(), email, c, c.Args["cl_attempt"], c.Args["cl_invite"], f)
		if err != nil {
			s.ownFault(w, sendgrid, "send", err)
			return
		}
		w.Header().Set("X-Message-Id", mailID(id))
	}
	w.WriteHeader(http.StatusAccepted)
}

// ownFault answers for a fault of the stand-in itself.
func (s *Sandbox) ownFault(w http.ResponseWriter, vendor, op string, err error) {
	s.log.Error("sandbox", "vendor", vendor, "op", op, "err", err)
	s.answerFault(w, vendor, Fault{Status: http.StatusInternalServerError})
}

func sameSecret(got string, want secret.Text) bool {
	// Digests, compared as arrays: the time does not reveal how many bytes
	// matched.
	return [32]byte(secret.Digest(secret.New(got))) == [32]byte(secret.Digest(want))
}
