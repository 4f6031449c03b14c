package visit

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// Evidence is what a request tells of who made it. It is classed and dropped:
// neither address nor user agent is stored.
type Evidence struct {
	Method         string
	UserAgent      string
	AcceptLanguage string
	Purpose        string // Sec-Purpose or Purpose: "prefetch", …
}

// Visitor is who seems to be there.
type Visitor string

// The classes.
const (
	Person       Visitor = "person"
	Scanner      Visitor = "scanner"
	PreviewRobot Visitor = "preview_robot"
)

// LooksLike classes a request. It is a guess for the timeline, and for not
// counting robots as visitors; nobody is refused by it.
func (e Evidence) LooksLike() Visitor {
	ua := strings.ToLower(e.UserAgent)
	contains := func(signs ...string) bool {
		return slices.ContainsFunc(signs, func(s string) bool { return strings.Contains(ua, s) })
	}
	switch {
	case contains("slackbot", "slack-imgproxy", "facebookexternalhit", "facebot", "twitterbot", "linkedinbot", "whatsapp/", "telegrambot",
		"discordbot", "skypeuripreview", "microsoftpreview", "google-pagerenderer", "googlemessages", "applebot", "viber", "redditbot", "pinterestbot", "embedly", "iframely"):
		return PreviewRobot
	case e.Method == http.MethodHead, strings.Contains(strings.ToLower(e.Purpose), "prefetch"):
		return Scanner
	case contains("bot", "spider", "crawl", "scan", "headless", "phantomjs", "python", "curl", "wget", "go-http-client", "java/",
		"okhttp", "axios", "node-fetch", "libwww", "httpclient", "proofpoint", "mimecast", "barracuda", "safelinks", "urldefense", "symantec", "trendmicro"):
		return Scanner
	case !strings.HasPrefix(ua, "mozilla/") && !strings.HasPrefix(ua, "opera/"), e.AcceptLanguage == "":
		return Scanner // every browser says both
	}
	return Person
}

// eventsKept bounds how often one thing that costs a visitor nothing is put on
// the timeline: a scanner may come back for days.
const eventsKept = 20

// Fetched records that somebody or something asked for the page.
func (s *Service) Fetched(ctx context.Context, code secret.Text, e Evidence) error {
	row, ok, err := s.find(ctx, code)
	if err != nil || !ok || row.Content == nil {
		return err
	}
	return s.capped(ctx, row.ID, invite.Event{
		Type: invite.EventFetched, Actor: recipient(), Data: invite.Data{LooksLike: string(e.LooksLike())},
	})
}

// capped appends an event of which only the first few are kept.
func (s *Service) capped(ctx context.Context, id invite.ID, e invite.Event) error {
	n, err := ledger.CountEvents(ctx, s.p.DB, id, e.Type, eventsKept)
	if err != nil || n >= eventsKept {
		return err
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := ledger.Lock(ctx, tx, id); err != nil {
			return err
		}
		// Counted again under the lock, else many at once would all be "few".
		n, err := ledger.CountEvents(ctx, tx, id, e.Type, eventsKept)
		if err != nil || n >= eventsKept {
			return err
		}
		return s.record(ctx, tx, id, e)
	})
	if err != nil {
		return fmt.Errorf("record %s of invite %s: %w", e.Type, id, err)
	}
	return nil
}

// Seen takes the page's beacon: a person has had the page before their eyes.
// Only the first counts, and none of a declared robot.
func (s *Service) Seen(ctx context.Context, code secret.Text, e Evidence) error {
	row, ok, err := s.find(ctx, code)
	if err != nil || !ok || row.Progress != invite.NotOpened || !stateOf(row).open() || e.LooksLike() != Person {
		return err
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		locked, err := ledger.Lock(ctx, tx, row.ID)
		if err != nil || locked.State.Progress != invite.NotOpened {
			return err
		}
		return s.record(ctx, tx, row.ID, invite.Event{Type: invite.EventVisited, Actor: recipient()})
	})
	if err != nil {
		return fmt.Errorf("record visit of invite %s: %w", row.ID, err)
	}
	return nil
}
