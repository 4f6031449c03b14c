package sandbox

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// postMailEvents posts one signed batch to each account's event webhook. A batch
// that is not answered 2xx is tried again at growing intervals for a day.
func (s *Sandbox) postMailEvents(ctx context.Context, batch []*dueEvent) {
	composed := make(map[*dueEvent][]byte, len(batch))
	accounts := map[string][]*dueEvent{}
	for _, e := range batch {
		account, one, err := s.mailEvent(e)
		if err != nil {
			s.log.Error("sandbox mail event", "err", err)
			continue // next stays nil: what cannot be composed cannot be posted later either
		}
		composed[e] = one
		accounts[account] = append(accounts[account], e)
	}
	for account, events := range accounts {
		s.postMailBatch(ctx, account, events, composed)
	}
}

func (s *Sandbox) postMailBatch(ctx context.Context, account string, batch []*dueEvent, composed map[*dueEvent][]byte) {
	body := mailEventsBody(batch, composed)
	target := s.eventsURL(account)
	copies := 1 + s.faults.callbacks(sendgrid).Copies + s.extraCopies(ctx, account, FaultyEmail)
	answer := 0
	for range copies {
		answer = s.postMailEventsOnce(ctx, target, body)
	}
	for _, e := range batch {
		e.answer = answer
		if answer/100 != 2 && s.now().Sub(e.HappenedAt) < sendgridGivesUp {
			s.again(e)
		}
	}
}

func (s *Sandbox) postMailEventsOnce(ctx context.Context, target string, body []byte) int {
	stamp := strconv.FormatInt(s.now().Unix(), 10)
	digest := sha256.Sum256(append([]byte(stamp), body...))
	sig, err := ecdsa.SignASN1(rand.Reader, s.keys.events, digest[:])
	if err != nil {
		s.log.Error("sandbox mail events: sign", "err", err)
		return 0
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return 0
	}
	req.Header.Set("Content-Type", "application/json;charset=utf-8")
	req.Header.Set("User-Agent", "SendGrid Event API")
	req.Header.Set("X-Twilio-Email-Event-Webhook-Signature", base64.StdEncoding.EncodeToString(sig))
	req.Header.Set("X-Twilio-Email-Event-Webhook-Timestamp", stamp)
	return s.do(req)
}

// mailEventsBody writes the array as SendGrid does, with CRLF between and
// after the events: a client that verifies anything but the raw bytes fails
// here as it would there.
func mailEventsBody(batch []*dueEvent, composed map[*dueEvent][]byte) []byte {
	var b bytes.Buffer
	b.WriteByte('[')
	for i, e := range batch {
		if i > 0 {
			b.WriteString(",\r\n")
		}
		b.Write(composed[e])
	}
	b.WriteString("]\r\n")
	return b.Bytes()
}

// mailEvent is one event as SendGrid writes it, and whose it is.
func (s *Sandbox) mailEvent(e *dueEvent) (account string, event []byte, err error) {
	if e.MessageID == nil {
		return "", nil, fmt.Errorf("event %s has no message", e.ID)
	}
	c, err := s.openContent(*e.MessageID, e.Content)
	if err != nil {
		return "", nil, err
	}
	id := mailID(*e.MessageID)
	js := map[string]any{
		"email":     c.To,
		"timestamp": e.HappenedAt.Unix(),
		"smtp-id":   "<" + id + "@geopod-ismtpd-sandbox>",
		"event":     e.Name,
		// Stable over retries and copies: it is what receivers dedupe by.
		"sg_event_id":   base64.RawURLEncoding.EncodeToString([]byte(e.Name[:1] + "-" + e.ID.String())),
		"sg_message_id": id + ".recvd-6b8f7d9c5c-sandbox-1-" + strings.ToUpper(strconv.FormatInt(e.HappenedAt.Unix(), 16)) + "-2F.0",
	}
	if len(c.Category) > 0 {
		js["category"] = c.Category
	}
	for k, v := range e.Extra {
		js[k] = strings.ReplaceAll(v, "{email}", c.To)
	}
	switch e.Name {
	case "delivered", "bounce":
		js["tls"] = 1
		js["ip"] = "198.51.100.25" // reserved for documentation
	}
	// Custom args are merged into the top level and never beat the vendor's
	// own members.
	for k, v := range c.Args {
		if _, taken := js[k]; !taken {
			js[k] = v
		}
	}
	event, err = json.Marshal(js)
	return c.account(), event, err
}

// do sends a callback and returns the answer's status, 0 when none came. The
// error is not logged: it would quote the URL, which may hold a secret.
func (s *Sandbox) do(req *http.Request) int {
	res, err := s.http.Do(req)
	if err != nil {
		return 0
	}
	defer drain(res)
	return res.StatusCode
}

// postTimeout is how long a vendor waits for a callback's answer.
const postTimeout = 15 * time.Second
