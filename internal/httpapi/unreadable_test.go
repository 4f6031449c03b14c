package httpapi_test

import (
	"net/http"
	"testing"
)

// TestReliabilityF6ARowThatCannotBeOpenedHidesNoOther: it is shown with its
// readable parts and a mark, in lists, reads and replays; a resend names the
// fix.
func TestReliabilityF6ARowThatCannotBeOpenedHidesNoOther(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]string{
		"content cut off":  `UPDATE invites SET content = substr(content, 1, 20) WHERE id::text = $1`,
		"content empty":    `UPDATE invites SET content = '' WHERE id::text = $1`,
		"key id unknown":   `UPDATE invites SET content = set_byte(set_byte(content, 0, 255), 1, 255) WHERE id::text = $1`,
		"code cut off":     `UPDATE codes SET code = substr(code, 1, 9) WHERE invite_id::text = $1`,
		"link URL cut off": `UPDATE connect_links SET url = substr(url, 1, 9) WHERE invite_id::text = $1`,
		"user ID cut off":  `UPDATE invites SET sealed_user_id = '\x00' WHERE id::text = $1`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.create(t, w.key, byEmail)
			made := w.call(t, w.key, "POST", "/v1/invites", byEmail, "Idempotency-Key: k")
			id := made.at(t, "id").(string)
			var row string
			if err := w.db.QueryRow(t.Context(), `SELECT id::text FROM invites ORDER BY id DESC LIMIT 1`).Scan(&row); err != nil {
				t.Fatal(err)
			}
			if tag, err := w.db.Exec(t.Context(), damage, row); err != nil || tag.RowsAffected() != 1 {
				t.Fatalf("%v, %v", tag, err)
			}
			list := w.call(t, w.key, "GET", "/v1/invites", "")
			if list.status != http.StatusOK || list.at(t, "data.0.id") != id || list.at(t, "data.1.recipient.email") != "pat@customer.example" {
				t.Errorf("list: %d %s", list.status, list.body)
			}
			for what, r := range map[string]reply{
				"read": w.call(t, w.key, "GET", "/v1/invites/"+id+"?expand=deliveries,events", ""), "replay": w.call(t, w.key, "POST", "/v1/invites", byEmail, "Idempotency-Key: k"),
			} {
				if r.status >= 300 || r.at(t, "id") != id || r.at(t, "unreadable") != true || r.at(t, "app.slug") != "slack" {
					t.Errorf("%s: %d %s", what, r.status, r.body)
				}
			}
			body := `{"recipient":{"email":"new@customer.example"}}`
			r := w.call(t, w.key, "POST", "/v1/invites/"+id+"/resend", body)
			gone := list.at(t, "data.0.recipient") == nil || list.at(t, "data.0.external_user_id") == nil
			if gone && (r.status != http.StatusConflict || r.at(t, "code") != "invite_not_resendable") || !gone && r.status != http.StatusOK {
				t.Errorf("resend: %d %s", r.status, r.body)
			}
		})
	}
}
