package app_test

import (
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/browsertest"
)

// window is one that has little room.
type window struct {
	name   string
	width  int64
	scale  float64
	spaced bool
}

func narrow() []window {
	return []window{{"320 px", 320, 1, false}, {"1280 px at 200 %, with the reader's own spacing", 640, 2, true}}
}

// On a narrow screen, in Arabic, all parts of a page are present, in their
// place and within reach, at every step of the task.
func TestBrowserSupportWorksOnANarrowScreenInArabic(t *testing.T) {
	t.Parallel()
	for _, w := range narrow() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, access.RoleAgent)
			inv := d.misspelt()
			d.arabic()
			fits := instrument(t, browsertest.NewInstrument(d.ctx, t), w, 24)
			d.open("/home")
			fits("home")
			d.within(4, func() {
				d.fill("#q", "pat@gmail.com")
				d.enter("#q", `section[aria-labelledby=similar] [data-row] a`)
				fits("search")
				d.click(`[data-row] a`, `.sentence`)
				fits("the invite")
				d.click(`.now .button.primary`, `#email`)
				fits("the drawer")
				d.fill("#email", "pat@gmail.com")
				d.click(`button[value=send]`, `.flash.good`)
				fits("the invite afterwards")
			})
			d.arrived(inv)
		})
	}
}

// instrument gives a window its size, and something that looks at the Arabic
// page in it.
func instrument(t *testing.T, i *browsertest.Instrument, w window, target int) func(where string) {
	t.Helper()
	if err := i.Window(w.width, 640, w.scale); err != nil {
		t.Fatal(err)
	}
	if w.spaced {
		if err := i.Spaced(); err != nil {
			t.Fatal(err)
		}
	}
	return func(where string) {
		t.Helper()
		found, err := i.Here(browsertest.Page{Lang: "ar", Dir: "rtl", Target: target})
		if err != nil {
			t.Fatalf("%s: %v", where, err)
		}
		for _, f := range found {
			t.Errorf("%s: %s", where, f)
		}
	}
}

// A person whose link is over gets a working one alone, in two taps.
func TestBrowserARecipientRenewsALinkOnANarrowScreenInArabic(t *testing.T) {
	t.Parallel()
	for _, w := range narrow() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			r := newRecipient(t)
			fits := instrument(t, browsertest.NewInstrument(r.ctx, t), w, 44)
			body := to("delivered@connectlink.test")
			body["recipient"].(object)["locale"] = "ar"
			made := r.invite(201, body)
			id := made.text("id")
			r.until(id, "delivered", func(inv object) bool { return inv.text("delivery.status") == "delivered" })
			r.later(5 * time.Hour)
			r.open(made.text("invite_link.url"), "expired")
			fits("expired")
			r.tap(`main.sent`)
			fits("sent")
			r.open(r.latest(id, 2), "ready")
			fits("ready")
			r.tap(pipedreamsButton)
			r.atPipedream("connect", "connected")
			fits("connected")
			r.until(id, "connected", func(inv object) bool { return inv.text("status") == "connected" })
			if r.taps > 2 {
				t.Errorf("%d taps, want at most 2", r.taps)
			}
		})
	}
}
