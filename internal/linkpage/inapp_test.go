package linkpage

import "testing"

func TestBrowsersInsideAppsAreRecognised(t *testing.T) {
	t.Parallel()
	const iPhone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
	const pixel = "Mozilla/5.0 (Linux; Android 15; Pixel 8 Build/AP4A.250205.002; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/133.0.6943.137 Mobile Safari/537.36 "
	for _, c := range []struct {
		ua   string
		want string // the app
		ios  bool
	}{
		{iPhone + "Mobile/22B91 Instagram 361.0.0.35.82 (iPhone16,2; iOS 18_1_1; en_US; en; scale=3.00; 1290x2796; 674117118) NW/3", "Instagram", true},
		{pixel + "Instagram 369.0.0.46.101 Android (35/15; 420dpi; 1080x2219; Google/google; Pixel 8; shiba; shiba; en_US; 702719366)", "Instagram", false},
		{iPhone + "Mobile/22B91 [FBAN/FBIOS;FBAV/491.1.0.62.114;FBBV/664541107;FBDV/iPhone16,2;FBMD/iPhone;FBSN/iOS;FBSV/18.1.1;FBSS/3;FBCR/;FBID/phone;FBLC/en_US;FBOP/80]", "Facebook", true},
		{pixel + "[FB_IAB/FB4A;FBAV/499.0.0.54.108;IABMV/1;]", "Facebook", false},
		{iPhone + "Mobile/22B91 [FBAN/MessengerForiOS;FBAV/485.1.0.39.106;FBBV/669034541;FBDV/iPhone16,2;FBMD/iPhone;FBSN/iOS;FBSV/18.1.1]", "Messenger", true},
		{pixel + "[FB_IAB/Orca-Android;FBAV/493.0.0.63.109;]", "Messenger", false},
		{iPhone + "Mobile/22B91 Barcelona 361.0.0.35.82 (iPhone16,2; iOS 18_1_1; en_US; en; scale=3.00; 1290x2796; 674117118)", "Threads", true},
		{iPhone + "Mobile/15E148 [LinkedInApp]/9.30.1234", "LinkedIn", true},
		{pixel + "[LinkedInApp]/4.1.1019", "LinkedIn", false},
		{iPhone + "Mobile/22B91 Snapchat/13.20.0.41 (like Safari/8620.1.16.10.11, panda)", "Snapchat", true},
		{iPhone + "Mobile/22B91 musical_ly_37.8.0 JsSdk/2.0 NetType/WIFI Channel/App Store ByteLocale/en Region/US isDarkMode/0 WKWebView/1 BytedanceWebview/d8a21c6", "TikTok", true},
		{pixel + "trill_380204 BytedanceWebview/d8a21c6", "TikTok", false},
		{iPhone + "Mobile/22B91 Twitter for iPhone/10.70", "X", true},
		{pixel + "TwitterAndroid", "X", false},
		{iPhone + "Mobile/15E148 Safari Line/14.21.1", "LINE", true},
		{iPhone + "Mobile/22B91 MicroMessenger/8.0.54(0x18003633) NetType/WIFI Language/zh_CN", "WeChat", true},
		{"Mozilla/5.0 (Linux; Android 13; 2201123C Build/TKQ1.220807.001; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/116.0.0.0 Mobile Safari/537.36 XWEB/1160083 MMWEBSDK/20231202 MicroMessenger/8.0.47.2560(0x28002F36) WeChat/arm64 Weixin NetType/WIFI Language/zh_CN ABI/arm64", "WeChat", false},
		{iPhone + "Mobile/22B91 WhatsApp/24.25.80", "WhatsApp", true},
		{"Mozilla/5.0 (Linux; Android 14; SM-S911B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36 Telegram-Android/11.4.2 (Samsung SM-S911B; Android 14; SDK 34; HIGH)", "Telegram", false},
		{iPhone + "Mobile/22B91 [Pinterest/iOS]", "Pinterest", true},
		{pixel + "KAKAOTALK 11.0.5", "KakaoTalk", false},
		{iPhone + "GSA/346.0.702331234 Mobile/15E148 Safari/604.1", "Google", true},
		// Apps that do not name themselves.
		{pixel, "", false},
		{iPhone + "Mobile/22B91", "", true},
		{"Mozilla/5.0 (iPad; CPU OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148", "", true},
	} {
		got, ok := inAppBrowser(c.ua)
		if !ok || got.name != c.want || got.ios != c.ios || got.android == c.ios {
			t.Errorf("%q: recognised %t as %+v, want %q", c.ua, ok, got, c.want)
		}
	}
}

func TestOrdinaryBrowsersAreNotTakenForApps(t *testing.T) {
	t.Parallel()
	for name, ua := range map[string]string{
		"Safari, and SFSafariViewController": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1.1 Mobile/15E148 Safari/604.1",
		"Safari on an iPad":                  "Mozilla/5.0 (iPad; CPU OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
		"Safari on a Mac":                    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
		"Chrome on Android, and Custom Tabs": "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36",
		"Chrome on iOS":                      "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/131.0.6778.73 Mobile/15E148 Safari/604.1",
		"Firefox on iOS":                     "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/132.0 Mobile/15E148 Safari/605.1.15",
		"Edge on iOS":                        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 EdgiOS/131.0.2903.48 Mobile/15E148 Safari/604.1",
		"Edge on Android":                    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36 EdgA/131.0.0.0",
		"Firefox on Android":                 "Mozilla/5.0 (Android 15; Mobile; rv:132.0) Gecko/132.0 Firefox/132.0",
		"Firefox Focus":                      "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/132.0 Mobile/15E148 Version/18.0",
		"Samsung Internet":                   "Mozilla/5.0 (Linux; Android 14; SAMSUNG SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36",
		"Opera on Android":                   "Mozilla/5.0 (Linux; Android 14; SM-S911B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Mobile Safari/537.36 OPR/86.0.0.0",
		"DuckDuckGo on Android":              "Mozilla/5.0 (Linux; Android 14; Pixel 8 Build/UQ1A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/130.0.0.0 Mobile DuckDuckGo/5 Safari/537.36",
		"Huawei's":                           "Mozilla/5.0 (Linux; Android 10; ELS-NX9; HMSCore 6.14.0.302; GMSCore 24.02.13) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/114.0.5735.196 HuaweiBrowser/15.0.4.312 Mobile Safari/537.36",
		"Chrome on Windows":                  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
		"Edge":                               "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
		"Firefox":                            "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
		"Opera Mini":                         "Opera/9.80 (Android; Opera Mini/76.0.2254/191.303; U; en) Presto/2.12.423 Version/12.16",
		"a preview robot":                    "WhatsApp/2.24.1 A",
		"nothing":                            "",
	} {
		if got, ok := inAppBrowser(ua); ok {
			t.Errorf("%s is taken for the browser of %q", name, got.name)
		}
	}
}
