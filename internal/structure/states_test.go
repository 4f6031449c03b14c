package structure_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
)

// eventTypes reads the kinds of events from package invite.
func eventTypes(t *testing.T) []invite.EventType {
	t.Helper()
	var out []invite.EventType
	for _, s := range sources(t) {
		if s.pkg == "internal/invite" && !s.test {
			for _, name := range constants(s, "EventType") {
				out = append(out, invite.EventType(name))
			}
		}
	}
	if !slices.Contains(out, invite.EventResent) || len(out) < 20 {
		t.Fatalf("found the events %v in package invite; this test looks for the wrong thing", out)
	}
	return out
}

// standing is an invite in a status, with one message in a fitting one.
func standing(status invite.Status, message invite.DeliveryStatus) invite.State {
	return invite.State{
		Status: status, Progress: invite.NotOpened, Channel: invite.Email,
		Deliveries: []invite.DeliveryState{{ID: invite.DeliveryID{}, Status: message, Channel: invite.Email}},
	}
}

// events are all kinds of events, the one that may bring a link twice.
func events(types []invite.EventType) []invite.Event {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var out []invite.Event
	for _, typ := range types {
		e := invite.Event{Type: typ, At: at, Data: invite.Data{AccountID: "apn_1", ExpiresAt: &at}}
		out = append(out, e)
		if typ == invite.EventResent || typ == invite.EventRenewed {
			e.Data.HasLink = true
			out = append(out, e)
		}
	}
	return out
}

// inviteStates draws what invite.Fold makes of an invite's status: every status
// meets every event, and each change becomes an arrow.
func inviteStates(types []invite.EventType) string {
	var b strings.Builder
	b.WriteString("```mermaid\nstateDiagram-v2\n    [*] --> pending: created, no connect link yet\n    [*] --> active: created\n")
	for _, from := range invite.Statuses() {
		message := invite.Accepted
		if from == invite.Failed {
			message = invite.Bounced
		}
		for _, to := range invite.Statuses() {
			var labels []string
			for _, e := range events(types) {
				after, _ := invite.Fold(standing(from, message), e)
				if from == to || after.Status != to {
					continue
				}
				label := string(e.Type)
				if e.Data.HasLink {
					label += " with a link"
				}
				labels = append(labels, label)
			}
			if len(labels) > 0 {
				fmt.Fprintf(&b, "    %s --> %s: %s\n", from, to, strings.Join(labels, ", "))
			}
		}
	}
	b.WriteString("```\n")
	return b.String()
}

// The diagram of deliveries shows the usual ways only: between two facts, rank
// decides, and all of those arrows would be unreadable. But what it shows happens,
// and what it leaves out as impossible is.
func TestTheDiagramOfDeliveriesIsTrue(t *testing.T) {
	t.Parallel()
	text := read(t, "docs/architecture.md")
	_, part, ok := strings.Cut(text, "<!-- deliveries -->")
	part, _, closed := strings.Cut(part, "<!-- end -->")
	if !ok || !closed {
		t.Fatal("docs/architecture.md has no diagram of deliveries")
	}
	drawn := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^ *(\w+) --> (\w+)`).FindAllStringSubmatch(part, -1) {
		drawn[m[1]], drawn[m[2]] = true, true
		if !becomes(invite.DeliveryStatus(m[1]), invite.DeliveryStatus(m[2]), eventTypes(t)) {
			t.Errorf("the diagram draws %s --> %s, and no event does that", m[1], m[2])
		}
	}
	for _, s := range invite.DeliveryStatuses() {
		if !drawn[string(s)] {
			t.Errorf("the diagram lacks %s", s)
		}
	}
}

func becomes(from, to invite.DeliveryStatus, types []invite.EventType) bool {
	return slices.ContainsFunc(events(types), func(e invite.Event) bool {
		after, _ := invite.Fold(standing(invite.Active, from), e)
		d, ok := after.Latest()
		return ok && d.Status == to
	})
}
