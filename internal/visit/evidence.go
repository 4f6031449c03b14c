package visit

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/connectlink/connectlink/internal/invite"
)

// Evidence is what a request tells of who made it. It is classed and dropped:
// neither address nor user agent is stored.
type Evidence struct {
	Method         string
	UserAgent      string
	AcceptLanguage string
	Purpose        string // Sec-Purpose or Purpose: "prefetch", …
	// FetchMode and FetchUser are Sec-Fetch-Mode and Sec-Fetch-User, which
	// browsers send to secure hosts: "navigate", "?1" for a person's doing.
	FetchMode, FetchUser string

	// What the page's own form and script add.
	FromPage  bool // the form's hidden field came along: the page was there before
	Scripts   bool // the page's script had run
	Gesture   bool // and saw a finger, a key or a pointer
	Automated bool // the browser says that a program drives it
	// Beacon is the script's own request, sent for a gesture only.
	Beacon bool
	// Again is a press on a page that had asked for one more.
	Again bool
	// Retry is the busy page's own press, for a person whose press it answered:
	// neither a hand nor a browser's word for one comes with it.
	Retry bool

	// OneClick is what a mail program sends for its reader's press on its own
	// button for unsubscribing.
	OneClick bool

	// inApp: no page was pressed; see ContinueInApp.
	inApp bool
}

// Visitor is who seems to be there.
type Visitor string

// The classes.
const (
	Person       Visitor = invite.LooksLikePerson
	Scanner      Visitor = invite.LooksLikeScanner
	PreviewRobot Visitor = invite.LooksLikePreviewRobot
)

var (
	previewRobots = regexp.MustCompile(`slackbot|slack-imgproxy|facebookexternalhit|facebookcatalog|facebot|meta-externalagent|twitterbot|linkedinbot|^whatsapp/|telegrambot|` +
		`discordbot|skypeuripreview|microsoftpreview|bingpreview|google-pagerenderer|googlemessages|applebot|\bviber\b|redditbot|pinterestbot|embedly|iframely|` +
		`google-read-aloud|snap url preview|mattermost|zoombot|notionembedder|bitlybot|vkshare|line-poker|yahoomailproxy|googleimageproxy`)
	// CUBOT makes telephones.
	scanners = regexp.MustCompile(`(?:^|[^u])bot\b|(?:^|[^c])ubot\b|spider|crawl|headless|phantomjs|puppeteer|playwright|selenium|\bscan|scan\b|scanner|` +
		`python|curl/|wget|go-http-client|java/|okhttp|axios|node-fetch|undici|libwww|httpclient|guzzle|apache-http|` +
		`proofpoint|mimecast|barracuda|safelinks|urldefense|symantec|trendmicro|trend micro|zscaler|forcepoint|websense|fireeye|ironport|sophos|` +
		`netskope|netcraft|virustotal|checkpoint|vadesecure|cloudmark|fortiguard|microsoft office|ms-office|msoffice|google-safety|google-inspectiontool|safebrowsing`)
	chromium = regexp.MustCompile(`chrome/(?:[89]\d|\d{3,})`)
)

// signs are the reasons for taking a request for a robot's, as stable words.
// The declared ones name themselves, the others only look like it.
func (e Evidence) signs() (declared, soft []string) {
	if e.inApp {
		return nil, nil // an app is no browser, and proves itself by its token
	}
	ua := strings.ToLower(e.UserAgent)
	if previewRobots.MatchString(ua) {
		declared = append(declared, "names_itself_preview")
	} else if scanners.MatchString(ua) || namesPage(ua) {
		declared = append(declared, "names_itself_robot")
	}
	if e.Automated {
		declared = append(declared, "automated")
	}
	note := func(is bool, sign string) {
		if is {
			soft = append(soft, sign)
		}
	}
	note(e.Method == http.MethodHead, "head")
	note(strings.Contains(strings.ToLower(e.Purpose), "prefetch"), "prefetch")
	note(!strings.HasPrefix(ua, "mozilla/") && !strings.HasPrefix(ua, "opera/"), "no_browser")
	note(e.AcceptLanguage == "", "no_language") // every browser says both
	if e.Method == http.MethodPost && !e.Beacon {
		note(!e.FromPage, "no_page_before")
		note(e.Scripts && !e.Gesture && !e.Retry, "no_gesture")
		// Chromium says of every navigation whether a person caused it, once it
		// says anything.
		note(!e.Retry && e.FetchMode == "navigate" && e.FetchUser == "" && chromium.MatchString(ua), "not_by_user")
	}
	return declared, soft
}

// namesPage reports whether a user agent names a page about itself or calls itself
// compatible, as programs do. Of the browsers only Internet Explorer, Konqueror
// and NetFront, the browser of early e-readers, ever did.
func namesPage(ua string) bool {
	if strings.Contains(ua, "(compatible;") || strings.Contains(ua, "; compatible;") {
		return !strings.Contains(ua, "msie ") && !strings.Contains(ua, "trident/") && !strings.Contains(ua, "konqueror/") && !strings.Contains(ua, "netfront/")
	}
	return strings.Contains(ua, "+http") || strings.Contains(ua, "http://") || strings.Contains(ua, "https://")
}

// declared reports whether a program says that it is one.
func (e Evidence) declared() bool {
	declared, _ := e.signs()
	return len(declared) > 0
}

// LooksLike classifies a request. It is a guess for the timeline, and
// keeps bots from counting as visitors; no request is refused because of
// it.
func (e Evidence) LooksLike() Visitor {
	declared, soft := e.signs()
	switch {
	case slices.Contains(declared, "names_itself_preview"):
		return PreviewRobot
	case len(declared)+len(soft) > 0:
		return Scanner
	}
	return Person
}

// data is what a request's event says.
func (e Evidence) data(sinceDelivery *float64) invite.Data {
	declared, soft := e.signs()
	d := invite.Data{LooksLike: string(e.LooksLike()), Signs: append([]string{strings.ToLower(e.Method)}, append(declared, soft...)...)}
	if e.Gesture {
		d.Signs = append(d.Signs, "gesture")
	}
	if sinceDelivery != nil && *sinceDelivery > 0 {
		d.SinceDelivery = int(*sinceDelivery)
	}
	return d
}
