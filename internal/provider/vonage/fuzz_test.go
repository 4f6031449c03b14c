package vonage_test

import (
	"errors"
	"testing"

	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/provider/vonage"
)

// FuzzReread reads a webhook: a post is verified before it is read, but secrets leak.
func FuzzReread(f *testing.F) {
	f.Add([]byte(`{"message_uuid":"aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab","channel":"sms","to":"12025550100","status":"rejected","error":{"title":1340}}`))
	f.Add([]byte(`{"message_uuid":"aaa","status":"submitted","client_ref":"inv_1.att_2","error":{"title":"\"1\"","type":"#"}}`))
	var c vonage.Callbacks
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := c.Reread(raw)
		if err == nil && (r.Key == "" || r.MessageID == "") || err != nil && !errors.Is(err, provider.ErrUnreadable) {
			t.Errorf("%q: %+v, %v", raw, r, err)
		}
		if replies, err := c.Replies(provider.Post{Raw: raw}); err != nil && replies != nil {
			t.Errorf("%q: replies beside an error", raw)
		}
	})
}
