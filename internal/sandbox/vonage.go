package sandbox

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/connectlink/connectlink/internal/secret"
)

// vonage is the stand-in of Vonage's Messages API for text messages. It knows what
// https://developer.vonage.com/en/api/messages says of sends, and posts statuses and
// inbound messages signed as Vonage does.
const vonage = "vonage"

// VonageCredentials are the sandbox's account there.
type VonageCredentials struct {
	APIKey          string
	APISecret       secret.Text
	SignatureSecret secret.Text // signs webhooks
	From            string
}

// Vonage returns the account the product's test mode must use. It is derived from
// the deployment's other secrets, so that a deployment made before has it, too.
func (s *Sandbox) Vonage() VonageCredentials {
	derive := func(what string) string {
		mac := hmac.New(sha256.New, []byte(s.cred.TwilioAuthToken.Reveal()))
		mac.Write([]byte("vonage " + what))
		return hex.EncodeToString(mac.Sum(nil))
	}
	return VonageCredentials{
		APIKey: derive("api key")[:8], APISecret: secret.New(derive("api secret")), SignatureSecret: secret.New(derive("signature secret")),
		From: "+15005550006",
	}
}

func (s *Sandbox) vonageTexts() textVendor {
	return textVendor{serve: s.serveVonage, request: s.vonageRequest}
}

func (s *Sandbox) serveVonage(w http.ResponseWriter, r *http.Request) {
	cred := s.Vonage()
	user, password, _ := r.BasicAuth()
	if user != cred.APIKey || !sameSecret(password, cred.APISecret) {
		vonageRefuse(w, http.StatusUnauthorized, "unauthorized", "Unauthorized", "You did not provide correct credentials.")
		return
	}
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/v1/messages":
		s.vonageSend(w, r)
	case r.Method == http.MethodPost && r.URL.Path == "/v1/redact/transaction":
		s.vonageRedact(w, r)
	case r.Method == http.MethodGet && r.URL.Path == "/v2/applications":
		writeJSON(w, http.StatusOK, jsonType, map[string]any{"page_size": 1, "total_items": 0, "_embedded": map[string]any{"applications": []any{}}})
	default:
		vonageRefuse(w, http.StatusNotFound, "not-found", "Not found", "The requested resource does not exist, or you do not have access to it")
	}
}

func vonageRefuse(w http.ResponseWriter, status int, code, title, detail string) {
	writeJSON(w, status, "application/problem+json", map[string]any{
		"type": "https://developer.vonage.com/api-errors/messages#" + code, "title": title, "detail": detail,
		"instance": strings.ReplaceAll(newID().String(), "-", ""),
	})
}

// vonageText is the body of a send, as far as texts have it.
type vonageText struct {
	MessageType string `json:"message_type"`
	Channel     string `json:"channel"`
	To          string `json:"to"`
	From        string `json:"from"`
	Text        string `json:"text"`
	ClientRef   string `json:"client_ref"`
	TTL         int    `json:"ttl"`
	WebhookURL  string `json:"webhook_url"`
}

// fault is Vonage's first complaint about a send; the code is empty for none.
func (t vonageText) fault(from string) (code, title, detail string) {
	switch {
	case t.Channel != "sms" || t.MessageType != "text":
		return "1140", "Invalid message type", "The stand-in takes texts by sms only."
	case !e164("+" + t.To):
		return "1170", "Invalid recipient", "The `to` parameter is invalid for the given channel."
	case t.From != strings.TrimPrefix(from, "+"):
		return "1120", "Invalid sender", "The `from` parameter is invalid for the given channel."
	case t.Text == "" || utf8.RuneCountInString(t.Text) > 1000:
		return "1150", "Invalid params", "The value of one or more parameters is invalid."
	case len(t.ClientRef) > 100:
		return "1060", "Invalid client reference", "The client reference can be a string of up to 100 characters."
	case t.TTL < 0:
		return "1130", "Invalid TTL", "The value of ttl in your request was invalid."
	case t.WebhookURL != "" && !callbackAllowed(t.WebhookURL):
		return "1150", "Invalid params", "The `webhook_url` parameter is invalid."
	}
	return "", "", ""
}

func (s *Sandbox) vonageSend(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxSmall)
	var t vonageText
	if json.NewDecoder(r.Body).Decode(&t) != nil {
		vonageRefuse(w, http.StatusUnprocessableEntity, "invalid-json", "Invalid JSON", "The request body did not contain valid JSON")
		return
	}
	if code, title, detail := t.fault(s.Vonage().From); code != "" {
		vonageRefuse(w, http.StatusUnprocessableEntity, code, title, detail)
		return
	}
	invite, attempt, _ := strings.Cut(t.ClientRef, ":")
	c := content{
		From: "+" + t.From, To: "+" + t.To, Text: t.Text, Callback: t.WebhookURL, Account: accountOf(r), Via: vonage,
		Args: map[string]string{"client_ref": t.ClientRef},
	}
	id, err := s.take(r.Context(), sms, c, attempt, invite, s.fates.text(c.To))
	if err != nil {
		s.log.Error("sandbox vonage send", "err", err)
		vonageRefuse(w, http.StatusInternalServerError, "1030", "Internal error", "There was an error processing your request in the Platform.")
		return
	}
	writeJSON(w, http.StatusAccepted, jsonType, map[string]any{"message_uuid": id.String()})
}

// vonageRedact empties a message, and takes its number.
func (s *Sandbox) vonageRedact(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxSmall)
	var asked struct {
		ID      string `json:"id"`
		Product string `json:"product"`
	}
	if json.NewDecoder(r.Body).Decode(&asked) != nil || asked.Product != "messages" {
		vonageRefuse(w, http.StatusUnprocessableEntity, "invalid-params", "Invalid params", "The value of one or more parameters is invalid.")
		return
	}
	id, err := uuid.Parse(asked.ID)
	if err == nil {
		err = s.deleteSMS(r.Context(), id)
	}
	if err != nil {
		vonageRefuse(w, http.StatusNotFound, "not-found", "Not found", "No message has this id.")
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// vonageCodes are Vonage's codes for the fates whose codes are Twilio's.
func vonageCode(twilioCode string) string {
	switch twilioCode {
	case "30003":
		return "1180"
	case "30005":
		return "1190"
	case "30006":
		return "1310"
	case "30007":
		return "1210"
	}
	return "1330"
}

// vonageRequest is a webhook of Vonage's about an event.
func (s *Sandbox) vonageRequest(ctx context.Context, e *dueEvent, c content) (*http.Request, error) {
	target := c.Callback
	body := map[string]any{
		"message_uuid": e.MessageID.String(), "channel": "sms", "to": strings.TrimPrefix(c.To, "+"), "from": strings.TrimPrefix(c.From, "+"),
		"timestamp": e.HappenedAt.UTC().Format(time.RFC3339Nano),
	}
	switch e.Name {
	case repliedStop:
		if s.hooks == "" {
			return nil, nil //nolint:nilnil // nothing to post, as textVendor says
		}
		target = s.hooks + "/hooks/vonage/inbound/" + c.account() + "/test"
		body["message_uuid"], body["to"], body["from"] = e.ID.String(), body["from"], body["to"]
		body["text"], body["message_type"], body["sms"] = "Stop", "text", map[string]string{"num_messages": "1", "keyword": "STOP"}
	case "sent":
		body["status"], body["client_ref"] = "submitted", c.Args["client_ref"]
	case "delivered":
		body["status"], body["client_ref"] = "delivered", c.Args["client_ref"]
	default:
		code := vonageCode(e.Extra["ErrorCode"])
		body["status"], body["client_ref"] = "rejected", c.Args["client_ref"]
		body["error"] = map[string]string{"title": code, "type": "https://developer.vonage.com/api-errors/messages#" + code, "instance": e.ID.String()}
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode webhook: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("make webhook: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+s.vonageToken(raw, e.ID))
	return req, nil
}

// vonageToken signs a body: a JWT with the hash of it.
func (s *Sandbox) vonageToken(raw []byte, id uuid.UUID) string {
	sum, cred := sha256.Sum256(raw), s.Vonage()
	claims, _ := json.Marshal(map[string]any{
		"iat": s.now().Unix(), "jti": id.String(), "iss": "Vonage", "payload_hash": hex.EncodeToString(sum[:]), "api_key": cred.APIKey,
	})
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(claims)
	mac := hmac.New(sha256.New, []byte(cred.SignatureSecret.Reveal()))
	mac.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
