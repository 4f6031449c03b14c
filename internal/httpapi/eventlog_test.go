package httpapi_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/waittest"
)

// publicEvents lists public events once all are certain: transactions of other tests,
// in other databases of the server, hold them back too.
func (w *world) publicEvents(t *testing.T, query string) reply {
	t.Helper()
	waittest.Until(t, "all events are certain", func() bool {
		return w.count(t, `SELECT count(*) FROM public_events WHERE xact >= pg_snapshot_xmin(pg_current_snapshot())`) == 0
	})
	return w.call(t, w.hooks, "GET", "/v1/events"+query, "")
}

func TestEventsOfAProject(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, other := w.create(t, w.key, byLink), w.create(t, w.other, byLink)
	w.visited(t, id)
	w.happens(t, id, invite.Event{Type: invite.EventConnectFailed})
	w.visited(t, other)
	first := w.publicEvents(t, "?limit=1&types=invite.opened,invite.connect_failed")
	if first.status != 200 || first.at(t, "data.0.type") != "invite.opened" || first.at(t, "has_more") != true || first.at(t, "data.0.data.invite.progress") != "visited" {
		t.Fatalf("first page: %d %s", first.status, first.body)
	}
	after := first.at(t, "next_cursor").(string)
	second := w.publicEvents(t, "?after="+after)
	if second.at(t, "data.0.type") != "invite.connect_failed" || second.at(t, "data.1") != nil || second.at(t, "has_more") != false {
		t.Fatalf("second page: %s", second.body)
	}
	end := second.at(t, "next_cursor").(string)
	if r := w.publicEvents(t, "?after="+end); r.at(t, "next_cursor") != end || r.at(t, "data.0") != nil {
		t.Errorf("at the end: %s", r.body)
	}
	event := second.at(t, "data.0.id").(string)
	w.play(t, []scenario{
		{name: "one", key: w.hooks, method: "GET", path: "/v1/events/" + event, status: 200, want: map[string]any{"id": event, "object": "event", "invite_id": id, "sequence": 3.0, "project": "default"}},
		{name: "of its user", key: w.hooks, method: "GET", path: "/v1/events?external_user_id=nobody", status: 200, want: map[string]any{"data.0": nil, "next_cursor": nil}},
		{name: "without the scope", key: w.key, method: "GET", path: "/v1/events", status: 403},
		{name: "an entry of the timeline", key: w.hooks, method: "GET", path: "/v1/events/evt_069hqkhjp5sv1bqg1oprs35ep0", status: 404, want: map[string]any{"code": "event_not_found"}},
		{name: "no id", key: w.hooks, method: "GET", path: "/v1/events/inv_0", status: 404},
		{name: "all faults at once", key: w.hooks, method: "GET", path: "/v1/events?after=evt_1&types=invite.lost&invite=7&created[gte]=soon&limit=0&type=x", status: 422,
			want: map[string]any{"errors.0.pointer": "/limit", "errors.1.pointer": "/created[gte]", "errors.2.pointer": "/types", "errors.3.pointer": "/invite", "errors.4.pointer": "/after", "errors.5.pointer": "/type"}},
	})
}

// TestACreatedInviteIsAnEvent: with the invite as the API answers it right afterwards,
// in whichever way it was created, and with the same bytes in each read.
func TestACreatedInviteIsAnEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.call(t, w.hooks, "POST", "/v1/webhook_endpoints", `{"url":"https://acme.example/hooks","types":["invite.created"]}`)
	w.call(t, w.hooks, "POST", "/v1/webhook_endpoints", `{"url":"https://acme.example/other","types":["invite.connected"]}`)
	const person = `"external_user_id":"user-1","app":"slack","recipient":{"email":"delivered@connectlink.test","name":"0001-01-01T00:00:00Z"}`
	want := map[string]map[string]any{}
	made := func(r reply, at string) {
		t.Helper()
		id, ok := r.at(t, at).(string)
		if !ok {
			t.Fatalf("created: %d %s", r.status, r.body)
		}
		want[id] = w.call(t, w.readOnly, "GET", "/v1/invites/"+id, "").json(t)
	}
	for _, body := range []string{
		byLink,
		`{` + person + `,"channel":"email","metadata":{"ticket":"4711"}}`,
		`{` + person + `,"channel":"email","valid_for":864000,"reminders":{"count":2}}`,
		`{` + person + `,"channel":"email","valid_for":864000,"send_at":"` + time.Now().Add(48*time.Hour).UTC().Format(time.RFC3339) + `"}`,
		`{` + person + `,"channel":"email","if_active":"replace"}`,
	} {
		made(w.call(t, w.key, "POST", "/v1/invites", body), "id")
	}
	batch := w.call(t, w.key, "POST", "/v1/invites/batch", `{"invites":[{`+person+`,"channel":"link"},`+byLink+`]}`)
	made(batch, "results.0.invite.id")
	made(batch, "results.1.invite.id")
	page := w.publicEvents(t, "?types=invite.created")
	for n := range len(want) {
		event, ok := page.at(t, fmt.Sprintf("data.%d", n)).(map[string]any)
		if !ok {
			t.Fatalf("%d of %d events: %s", n, len(want), page.body)
		}
		id := event["invite_id"].(string)
		got, read := event["data"].(map[string]any)["invite"].(map[string]any), want[id]
		if event["sequence"] != 1.0 || event["created_at"] != read["created_at"] {
			t.Errorf("event %v of %v", event, read["created_at"])
		}
		if got["connect_link_url"] != nil || got["invite_link"] != nil {
			t.Error("the event has links")
		}
		if diff := cmp.Diff(read, got); diff != "" {
			t.Errorf("%s is not as it was read after its creation:\n%s", id, diff)
		}
		alone := w.call(t, w.hooks, "GET", "/v1/events/"+event["id"].(string), "")
		if !bytes.Contains(page.body, bytes.TrimSpace(alone.body)) {
			t.Errorf("read alone: %s\nin the list: %s", alone.body, page.body)
		}
	}
	if n := w.count(t, `SELECT count(*) FROM webhook_deliveries d JOIN webhook_endpoints w ON w.id = d.endpoint_id WHERE w.types = '{invite.created}'`); n != len(want) {
		t.Errorf("%d of %d events are queued for the endpoint", n, len(want))
	}
	if n := w.count(t, `SELECT count(*) FROM webhook_deliveries`); n != len(want) {
		t.Errorf("%d deliveries; the other endpoint did not ask for the type", n)
	}
}
