package httpapi_test

import (
	"testing"

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
