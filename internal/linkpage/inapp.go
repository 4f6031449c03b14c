package linkpage

import (
	"regexp"
	"slices"
	"strings"
)

// inApp is a browser inside another app, in which the big sign-in pages refuse
// to work.
type inApp struct {
	name    string // the app's usual name; empty if unknown
	android bool
	ios     bool
}

// The marks that apps leave in the user agent of their own browsers. Order
// matters where an app carries another's mark too.
var (
	messenger = regexp.MustCompile(`(?i)FB_IAB/(?:Orca|MESSENGER)|FBAN/Messenger|MessengerForiOS|MessengerLiteForiOS|Orca-Android`)
	instagram = regexp.MustCompile(`(?i)\bInstagram\b`)
	threads   = regexp.MustCompile(`(?i)\bBarcelona \d`)
	facebook  = regexp.MustCompile(`\bFBA[NV]/|\bFB_IAB\b|\bFBIOS\b`)
	linkedin  = regexp.MustCompile(`(?i)LinkedInApp`)
	snapchat  = regexp.MustCompile(`(?i)\bSnapchat\b`)
	tiktok    = regexp.MustCompile(`(?i)musical_ly|BytedanceWebview|\btrill_\d|TikTok`)
	twitter   = regexp.MustCompile(`(?i)Twitter for (?:iPhone|iPad|Android)|TwitterAndroid`)
	line      = regexp.MustCompile(`\bLine/\d`)
	wechat    = regexp.MustCompile(`(?i)MicroMessenger`)
	whatsapp  = regexp.MustCompile(`^Mozilla/.*\bWhatsApp\b`)
	telegram  = regexp.MustCompile(`(?i)Telegram-(?:Android|iOS)`)
	pinterest = regexp.MustCompile(`(?i)\[Pinterest/|Pinterest for (?:iOS|Android)`)
	kakao     = regexp.MustCompile(`(?i)KAKAOTALK`)
	google    = regexp.MustCompile(`\bGSA/\d`)

	appleDevice = regexp.MustCompile(`\((?:iPhone|iPad|iPod)\b`)
	// A WebView of Android says so; a Custom Tab is the browser itself.
	webView = regexp.MustCompile(`; wv\)`)
	// Browsers that are built on a WebView are browsers all the same.
	built = regexp.MustCompile(`(?i)FxiOS/|CriOS/|EdgiOS/|DuckDuckGo/|\bDdg/|OPR/|OPX/|MiuiBrowser|UCBrowser|HuaweiBrowser|VivoBrowser|HeyTapBrowser|Brave|Focus/|Klar/|Ecosia|SamsungBrowser|EdgA/|YaBrowser|Firefox/|Quark/|PhoenixBrowser|Puffin/|Kiwi`)
)

// inAppBrowser reports whether a user agent is that of a browser inside an app.
// It may err either way: the page it leads to always has a way through.
func inAppBrowser(ua string) (inApp, bool) {
	b := inApp{android: strings.Contains(ua, "Android"), ios: appleDevice.MatchString(ua)}
	for _, k := range []struct {
		mark *regexp.Regexp
		name string
	}{
		{messenger, "Messenger"}, {instagram, "Instagram"}, {threads, "Threads"}, {facebook, "Facebook"}, {linkedin, "LinkedIn"},
		{snapchat, "Snapchat"}, {tiktok, "TikTok"}, {twitter, "X"}, {wechat, "WeChat"}, {line, "LINE"}, {whatsapp, "WhatsApp"},
		{telegram, "Telegram"}, {pinterest, "Pinterest"}, {kakao, "KakaoTalk"}, {google, "Google"},
	} {
		if k.mark.MatchString(ua) {
			b.name = k.name
			return b, true
		}
	}
	switch {
	case built.MatchString(ua):
		return b, false
	case b.android && webView.MatchString(ua):
		return b, true
	case b.ios && strings.Contains(ua, "AppleWebKit/") && !strings.Contains(ua, "Safari/"):
		// Safari, every other browser and SFSafariViewController say Safari; a
		// bare WKWebView does not.
		return b, true
	}
	return b, false
}

// toldInside is what the page's script found where the user agent says nothing:
// Telegram on iOS looks like Safari, and so do many apps' own web views.
func toldInside(what, ua string) (inApp, bool) {
	b := inApp{android: strings.Contains(ua, "Android"), ios: appleDevice.MatchString(ua)}
	if what == insideTelegram {
		b.name = "Telegram"
	}
	return b, slices.Contains(inAppMarks(), what)
}

// What the page's script says.
const (
	insideTelegram = "telegram"
	insideSomeApp  = "app"
)

func inAppMarks() []string { return []string{insideTelegram, insideSomeApp} }
