package visit_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/track/tracktest"
	"github.com/connectlink/connectlink/internal/visit"
)

const (
	chrome  = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
	firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"
)

func TestUserAgentsOfPeopleAndRobots(t *testing.T) {
	t.Parallel()
	for ua, want := range map[string]visit.Visitor{
		chrome:           visit.Person,
		firefox:          visit.Person,
		person.UserAgent: visit.Person,
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0":                      visit.Person,
		"Mozilla/5.0 (Linux; Android 14; SAMSUNG SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36": visit.Person,
		"Mozilla/5.0 (Linux; Android 12; CUBOT P60) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36":                            visit.Person,
		"Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile Safari/537.36 Instagram 350.0.0.0 Android":                               visit.Person,
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/22B91 WhatsApp/24.25.80":                     visit.Person,
		"Opera/9.80 (Android; Opera Mini/76.0.2254/191.303; U; en) Presto/2.12.423 Version/12.16":                                                            visit.Person,
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/140.0.0.0 Safari/537.36":                            visit.Scanner,
		"Mozilla/5.0 (compatible; Barracuda Sentinel (EE))":                                                                                                  visit.Scanner,
		"BarracudaCentral":  visit.Scanner,
		"Mimecast-URL-Scan": visit.Scanner,
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36 SafeLinks": visit.Scanner,
		"Mozilla/4.0 (compatible; ms-office; MSOffice 16)":                                                                          visit.Scanner,
		"Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0; Pro)":                                                      visit.Scanner,
		"Mozilla/5.0 (compatible; Proofpoint URL Defense)":                                                                          visit.Scanner,
		"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)":                                                  visit.Scanner,
		"python-requests/2.32": visit.Scanner,
		"curl/8.10":            visit.Scanner,
		"Mozilla/5.0 (compatible; Artemis; CERT PL; +https://cert.pl/skanowanie)":                      visit.Scanner,
		"Mozilla/5.0 (X11; Linux x86_64) Chrome/137.0.0.0 Safari/537.36; Devin/1.0; +https://devin.ai": visit.Scanner,
		"Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2; Trident/6.0)":                             visit.Person,
		"Mozilla/4.0 (compatible; Linux 2.6.22) NetFront/3.4 Kindle/2.5 (screen 824x1200;rotate)":      visit.Person,
		"Mozilla/5.0 (compatible; Konqueror/4.5; Linux) KHTML/4.5.4 (like Gecko)":                      visit.Person,
		"Go-http-client/1.1": visit.Scanner,
		"":                   visit.Scanner,
		"Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)":                                                                                                          visit.PreviewRobot,
		"facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)":                                                                                           visit.PreviewRobot,
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4 (KHTML, like Gecko) Version/9.0.1 Safari/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0": visit.PreviewRobot,
		"WhatsApp/2.24.1 A": visit.PreviewRobot,
		"Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5":                                                                                          visit.PreviewRobot,
		"LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)":                                                                    visit.PreviewRobot,
		"TelegramBot (like TwitterBot)":                                                                                                                            visit.PreviewRobot,
		"Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)":                                                                                        visit.PreviewRobot,
		"Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)":                                                                visit.PreviewRobot,
		"Mozilla/5.0 (iPhone; CPU iPhone OS 7_0 like Mac OS X) AppleWebKit/537.51.1 (KHTML, like Gecko) Version/7.0 Mobile/11A465 Safari/9537.53 BingPreview/1.0b": visit.PreviewRobot,
	} {
		e := visit.Evidence{Method: http.MethodGet, UserAgent: ua, AcceptLanguage: "en"}
		if got := e.LooksLike(); got != want {
			t.Errorf("%q: %s, want %s", ua, got, want)
		}
	}
}

func TestWhatGivesAnUnnamedRobotAway(t *testing.T) {
	t.Parallel()
	page := visit.Evidence{Method: http.MethodGet, UserAgent: chrome, AcceptLanguage: "de"}
	press := tap
	press.UserAgent, press.FetchMode, press.FetchUser = chrome, "navigate", "?1"
	for name, c := range map[string]struct {
		from   visit.Evidence
		change func(*visit.Evidence)
		want   visit.Visitor
	}{
		"a look":                           {page, func(*visit.Evidence) {}, visit.Person},
		"a HEAD":                           {page, func(e *visit.Evidence) { e.Method = http.MethodHead }, visit.Scanner},
		"a prefetch":                       {page, func(e *visit.Evidence) { e.Purpose = "prefetch;prerender" }, visit.Scanner},
		"no language":                      {page, func(e *visit.Evidence) { e.AcceptLanguage = "" }, visit.Scanner},
		"driven by a program":              {page, func(e *visit.Evidence) { e.Automated = true }, visit.Scanner},
		"a press":                          {press, func(*visit.Evidence) {}, visit.Person},
		"a press without a page":           {press, func(e *visit.Evidence) { e.FromPage = false }, visit.Scanner},
		"scripts, and nobody's finger":     {press, func(e *visit.Evidence) { e.Gesture = false }, visit.Scanner},
		"a press where scripts do not run": {press, func(e *visit.Evidence) { e.Scripts, e.Gesture = false, false }, visit.Person},
		"a form that a program submitted":  {press, func(e *visit.Evidence) { e.Scripts, e.Gesture, e.FetchUser = false, false, "" }, visit.Scanner},
		"over plain http nothing is said":  {press, func(e *visit.Evidence) { e.FetchMode, e.FetchUser = "", "" }, visit.Person},
		"a browser that never says who": {press, func(e *visit.Evidence) {
			e.UserAgent, e.FetchUser = person.UserAgent, ""
		}, visit.Person},
	} {
		e := c.from
		c.change(&e)
		if got := e.LooksLike(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// robot is a press that no person makes.
func robot() visit.Evidence {
	r := tap
	r.FromPage = false
	return r
}

func TestARobotsPressIsAnsweredWithThePageAndRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{NoLink: true})
	for range 30 {
		got, err := w.Continue(t.Context(), m.Code, robot())
		if err != nil || !got.URL.IsZero() || got.Page.State != visit.Ready || !got.Page.Held {
			t.Fatalf("page %s, held %t, link %t, %v", got.Page.State, got.Page.Held, !got.URL.IsZero(), err)
		}
	}
	if n := w.Vendor.Mints(); n != 0 {
		t.Errorf("%d tokens minted for a robot", n)
	}
	events := w.Events(m.ID)
	if len(events) != 21 {
		t.Errorf("%d events, want the first and 20 of the robot", len(events))
	}
	if d := events[1].Data; events[1].Type != invite.EventFetched || d.LooksLike != "scanner" || !slices.Equal(d.Signs, []string{"post", "no_page_before", "gesture"}) {
		t.Errorf("recorded as %s %+v", events[1].Type, d)
	}
	if got := w.Get(m.ID); got.Progress != invite.NotOpened || got.FirstHandedOutAt != nil {
		t.Errorf("progress %s", got.Progress)
	}
	if w.press(m.Code).URL.IsZero() || w.Get(m.ID).Progress != invite.Continued {
		t.Error("the person after it does not get through")
	}
}

func TestARobotThatPressesOnUsesNothingUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	insistent := robot()
	insistent.Again = true
	given := map[string]bool{}
	for i := range 15 {
		got, err := w.Continue(t.Context(), m.Code, insistent)
		if err != nil {
			t.Fatal(err)
		}
		if got.URL.IsZero() != (i >= 10) {
			t.Errorf("press %d: link %t", i+1, !got.URL.IsZero())
		}
		given[got.URL.Reveal()] = true
	}
	if got := w.Get(m.ID).Progress; got != invite.NotOpened {
		t.Errorf("a robot made it %s", got)
	}
	mine := w.press(m.Code)
	if mine.URL.IsZero() || given[mine.URL.Reveal()] {
		t.Error("the person after it gets no link of their own")
	}
	if again := w.press(m.Code); again.URL != mine.URL {
		t.Error("a person's double tap got another link")
	}
	if got := w.Get(m.ID).Progress; got != invite.Continued {
		t.Errorf("the person's press left it %s", got)
	}
	classes := map[string]int{}
	for _, e := range w.Events(m.ID) {
		if e.Type == invite.EventContinued {
			classes[e.Data.LooksLike]++
		}
	}
	if classes["scanner"] != 10 || classes["person"] != 1 {
		t.Errorf("presses on the timeline: %v", classes)
	}
}
