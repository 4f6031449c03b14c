package sandbox

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

// The steps of a journey. A person's are in order; a scanner has one.
const (
	stepOpen     = iota // open the message's link
	stepContinue        // press its page's button
	stepConnect         // open the connect page they were sent to
	stepPress           // press a button there
	stepReturn          // land where that sends them
	stepReport          // on the page for "this isn't for me"
	stepAsk             // on the page that offers a new link
	stepDigits          // on the page that wants the digits of another message
)

func then(step int) *int { return &step }

// takeStep does one step over HTTP, as a browser and its owner would.
func (s *Sandbox) takeStep(ctx context.Context, j dueJourney, at *where) (walked, error) {
	if j.Kind == "scanner" {
		return s.scan(ctx, j, at)
	}
	switch j.Step {
	case stepOpen:
		return s.openLink(ctx, j, at)
	case stepContinue:
		return s.submit(ctx, at, "continued", then(stepConnect))
	case stepConnect:
		return s.openConnect(ctx, j, at)
	case stepPress:
		return s.submit(ctx, at, "pressed "+at.Press, then(stepReturn))
	case stepReturn:
		return s.land(ctx, at)
	case stepReport:
		return s.submit(ctx, at, "reported", nil)
	case stepDigits:
		return s.enterDigits(ctx, j, at)
	case stepAsk:
		return s.submit(ctx, at, "asked for a new link", nil)
	}
	return walked{}, fmt.Errorf("no step %d", j.Step)
}

// openLink is the first click, in the mail.
func (s *Sandbox) openLink(ctx context.Context, j dueJourney, at *where) (walked, error) {
	if isConnectLink(at.Link) { // the message carries Pipedream's URL itself
		at.Page = at.Link
		return s.openConnect(ctx, j, at)
	}
	if j.Kind == "renew" {
		second, err := s.secondLetter(ctx, j)
		if err != nil {
			return walked{}, errLater
		}
		if second {
			return walked{did: "received", note: "the new link they asked for"}, nil
		}
	}
	page, err := s.browse(ctx, http.MethodGet, at.Link, nil)
	if err != nil {
		return walked{}, err
	}
	if page.target != "" {
		return walked{did: "visited", note: "sent elsewhere at once"}, nil
	}
	s.beacon(ctx, at.Link)
	at.Page = at.Link
	switch j.Kind {
	case "visit":
		return walked{did: "visited"}, nil
	case "renew":
		return s.renew(page, at)
	case "notme":
		return s.findReport(ctx, page, at)
	}
	at.Form = page.mainForm()
	if page.status != http.StatusOK || at.Form == nil {
		return walked{did: "visited", note: fmt.Sprintf("the page (%d) has nothing to press", page.status)}, nil
	}
	return walked{did: "visited", next: then(stepContinue)}, nil
}

// renew waits for the link to die, then presses what the page offers.
func (s *Sandbox) renew(page webPage, at *where) (walked, error) {
	if page.status != http.StatusGone {
		return walked{did: "waiting for it to expire", next: then(stepOpen), wait: s.paces(6)}, nil
	}
	if at.Form = page.mainForm(); at.Form == nil {
		return walked{did: "visited", note: "the page offers no new link"}, nil
	}
	return walked{did: "visited", note: "the link has expired", next: then(stepAsk)}, nil
}

// findReport follows "This isn't for me", whether it is a form or a link.
func (s *Sandbox) findReport(ctx context.Context, page webPage, at *where) (walked, error) {
	target := page.reportTarget()
	if target == "" {
		return walked{did: "visited", note: "the page has no way to say it is not for them"}, nil
	}
	next, err := s.browse(ctx, http.MethodGet, target, nil)
	if err != nil {
		return walked{}, err
	}
	if at.Form = next.mainForm(); at.Form == nil {
		return walked{did: "visited", note: "the report page has no form"}, nil
	}
	return walked{did: "visited", next: then(stepReport)}, nil
}

// openConnect opens Pipedream's page and looks for its form.
func (s *Sandbox) openConnect(ctx context.Context, j dueJourney, at *where) (walked, error) {
	page, err := s.browse(ctx, http.MethodGet, at.Page, nil)
	if err != nil {
		return walked{}, err
	}
	if j.Kind == "visit" {
		return walked{did: "opened the connect page"}, nil
	}
	if at.Form, at.Field = page.digitsForm(); at.Form != nil {
		return walked{did: "was asked for a code", next: then(stepDigits)}, nil
	}
	at.Form = page.mainForm()
	if at.Form == nil {
		return walked{did: "stopped", note: "the connect page says the link is no longer valid"}, nil
	}
	at.Press = map[string]string{"connect": "connect", "deny": "deny", "connecterror": "fail"}[j.Kind]
	if at.Press == "" {
		at.Press = "deny"
	}
	at.Form.Fields.Set("do", at.Press)
	return walked{did: "opened the connect page", next: then(stepPress)}, nil
}

// enterDigits types in what the newest message says. It may take a moment to come.
func (s *Sandbox) enterDigits(ctx context.Context, j dueJourney, at *where) (walked, error) {
	digits, err := s.digitsFor(ctx, j)
	if err != nil {
		return walked{}, err
	}
	if at.Form == nil {
		return walked{}, fmt.Errorf("no form to submit")
	}
	at.Form.Fields.Set(at.Field, digits)
	return s.submit(ctx, at, "entered the code", then(stepConnect))
}

// submit sends the form they see; next is nil when its answer is the end.
func (s *Sandbox) submit(ctx context.Context, at *where, did string, next *int) (walked, error) {
	if at.Form == nil {
		return walked{}, fmt.Errorf("no form to submit")
	}
	page, err := s.browse(ctx, http.MethodPost, at.Form.Action, at.Form.Fields)
	if err != nil {
		return walked{}, err
	}
	at.Form = nil
	if page.target == "" || next == nil {
		return walked{did: did, note: fmt.Sprintf("answered with a page (%d)", page.status)}, nil
	}
	at.Page = page.target
	return walked{did: did, next: next}, nil
}

// land loads the page that the journey ends on.
func (s *Sandbox) land(ctx context.Context, at *where) (walked, error) {
	if !strings.HasPrefix(at.Page, "http") {
		return walked{did: "returned", note: "to the app"}, nil // a custom scheme opens an app
	}
	page, err := s.browse(ctx, http.MethodGet, at.Page, nil)
	if err != nil {
		return walked{}, err
	}
	return walked{did: "returned", note: fmt.Sprintf("to a page (%d)", page.status)}, nil
}

// scan is what mail scanners and preview robots do: they fetch, with every
// method that promises to change nothing, and never press anything.
func (s *Sandbox) scan(ctx context.Context, _ dueJourney, at *where) (walked, error) {
	for _, agent := range scannerAgents() {
		for _, method := range []string{http.MethodHead, http.MethodGet} {
			if err := s.fetch(ctx, method, at.Link, agent); err != nil {
				return walked{}, err
			}
		}
	}
	return walked{did: "scanned", note: fmt.Sprintf("%d robots fetched the link", len(scannerAgents()))}, nil
}
