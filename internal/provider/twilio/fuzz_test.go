package twilio_test

import (
	"testing"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider/twilio"
)

// FuzzParseBody reads a callback as a status and as an inbound message: a post is
// verified before it is read, but tokens leak.
func FuzzParseBody(f *testing.F) {
	f.Add([]byte("MessageSid=SM00000000000000000000000000000000&MessageStatus=undelivered&ErrorCode=30003&To=%2B12025550100"))
	f.Add([]byte("MessageSid=SM00000000000000000000000000000000&OptOutType=STOP&From=%2B12025550100&Body=%FF"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		form, err := twilio.ParseBody(raw)
		if err != nil {
			return
		}
		if s, err := twilio.ParseStatus(form); err == nil {
			if status, _ := s.Fate(); s.MessageSID == "" || s.Key() == "" || status == invite.Queued {
				t.Errorf("%q is the status of message %q, %s", raw, s.MessageSID, status)
			}
		}
		if in, err := twilio.ParseInbound(form); err == nil && in.MessageSID == "" {
			t.Errorf("%q is an inbound message without an id", raw)
		}
	})
}
