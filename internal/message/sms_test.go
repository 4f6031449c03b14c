package message_test

import (
	"strings"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/secret"
)

func TestSegmentsCountsAsNetworksDo(t *testing.T) {
	t.Parallel()
	rep := strings.Repeat
	for _, tt := range []struct {
		name            string
		body            string
		enc             message.Encoding
		units, segments int
	}{
		{"nothing", "", message.GSM7, 0, 0},
		{"160 septets are one", rep("a", 160), message.GSM7, 160, 1},
		{"161 are two", rep("a", 161), message.GSM7, 161, 2},
		{"306 are two", rep("a", 306), message.GSM7, 306, 2},
		{"307 are three", rep("a", 307), message.GSM7, 307, 3},
		{"the whole basic alphabet", "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà", message.GSM7, 127, 1},
		{"escaped characters cost two", "^{}\\[~]|€\f", message.GSM7, 20, 1},
		{"80 euros fill a segment", rep("€", 80), message.GSM7, 160, 1},
		{"an escape is not split", rep("a", 152) + "€" + rep("a", 152), message.GSM7, 306, 3},
		{"a backtick is not in the alphabet", "`", message.UCS2, 1, 1},
		{"nor a lower-case cedilla, unlike the upper", "ç", message.UCS2, 1, 1},
		{"70 units are one", rep("я", 70), message.UCS2, 70, 1},
		{"71 are two", rep("я", 71), message.UCS2, 71, 2},
		{"134 are two", rep("я", 134), message.UCS2, 134, 2},
		{"135 are three", rep("я", 135), message.UCS2, 135, 3},
		{"one curly quote changes everything", rep("a", 70) + "’", message.UCS2, 71, 2},
		{"an emoji is two units", "😀", message.UCS2, 2, 1},
		{"a pair is not split", rep("я", 66) + "😀" + rep("я", 66), message.UCS2, 134, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			enc, units, segments := message.Segments(tt.body)
			if enc != tt.enc || units != tt.units || segments != tt.segments {
				t.Errorf("got %s %d units %d segments, want %s %d %d", enc, units, segments, tt.enc, tt.units, tt.segments)
			}
		})
	}
}

func TestTextMessagesFitOneSegment(t *testing.T) {
	t.Parallel()
	r := newRenderer(t)
	brands := []string{"Acme", "Northwind Traders", "Müller & Söhne", "Crédit Agrícola"}
	apps := []string{"Slack", "Google Search Console", "Microsoft Outlook Calendar (Legacy)", "Zoho CRM"}
	inviters := []string{"", "Sam Rivera", "Alexandra Montgomery-Whitfield", "María “Mari” O’Brien–Łukasz"}
	lives := []time.Duration{4 * time.Hour, 3*time.Hour + 48*time.Minute, 23*time.Hour + 59*time.Minute, 29*24*time.Hour + 23*time.Hour}
	const link = "https://go.northwindtr.example/c/x7Kp2mQ9r" // 42 characters
	for _, kind := range []message.Kind{message.First, message.Resend, message.Reminder} {
		for _, by := range []message.Initiator{message.ByProduct, message.ByUser} {
			for _, brand := range brands {
				for _, app := range apps {
					for _, inviter := range inviters {
						for _, life := range lives {
							v := sample()
							v.Kind, v.Initiator, v.Brand, v.AppName, v.Inviter = kind, by, brand, app, inviter
							v.ExpiresAt, v.URL = v.Now.Add(life), secret.New(link)
							sms, err := r.SMS(v)
							if err != nil {
								t.Fatal(err)
							}
							body := sms.Body.Reveal()
							enc, units, segments := message.Segments(body)
							if segments != 1 || enc != message.GSM7 || sms.Segments != 1 {
								t.Errorf("%d units, %s, %d segments (said %d): %s", units, enc, segments, sms.Segments, body)
							}
							if strings.Count(body, link+" ") != 1 {
								t.Errorf("the link is not whole and apart: %s", body)
							}
							if !strings.Contains(body, "STOP to opt out") {
								t.Errorf("no opt-out: %s", body)
							}
						}
					}
				}
			}
		}
	}
}

func TestTextMessageSaysAsMuchAsFits(t *testing.T) {
	t.Parallel()
	r := newRenderer(t)
	for _, tt := range []struct {
		name   string
		change func(*message.Vars)
		want   string
	}{
		{
			"the inviter where there is room",
			func(v *message.Vars) { v.Inviter = "Sam Rivera" },
			"Acme: Sam Rivera asks you to connect your Slack account. Link works for 4 hours: " + inviteURL + " Reply STOP to opt out",
		},
		{
			"long names drop the inviter first",
			func(v *message.Vars) { *v = longNames() },
			"Northwind Traders: please connect your Google Search Console account (link works 4 hours): " + inviteURL + " STOP to opt out",
		},
		{
			"then the app's long name",
			func(v *message.Vars) {
				v.Brand, v.AppName = "Northwind Traders International", "Microsoft Outlook Calendar (Legacy)"
				v.ExpiresAt = v.Now.Add(3*time.Hour + 48*time.Minute)
			},
			"Northwind Traders International: connect your Outlook Calendar account (3 h 48 min): " + inviteURL + " STOP to opt out",
		},
		{
			"typography and accents that GSM-7 lacks become plain",
			func(v *message.Vars) { v.Inviter = "Zoë “Zo” d’Árbol – Łódź" },
			`Acme: Zoe "Zo" d'Arbol - Lodz asks you to connect your Slack account. Link works for 4 hours: ` + inviteURL + " Reply STOP to opt out",
		},
		{
			"letters that GSM-7 has stay",
			func(v *message.Vars) { v.Inviter = "Jürgen Ångström-Nuñez" },
			"Acme: Jürgen Ångström-Nuñez asks you to connect your Slack account. Link works for 4 hours: " + inviteURL + " Reply STOP to opt out",
		},
		{
			"an inviter in another script is left out rather than doubling the cost",
			func(v *message.Vars) { v.Inviter = "Анна Иванова" },
			"Acme: please connect your Slack account (link works 4 hours): " + inviteURL + " STOP to opt out",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := sample()
			tt.change(&v)
			sms, err := r.SMS(v)
			if err != nil {
				t.Fatal(err)
			}
			if got := sms.Body.Reveal(); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestALongLinkIsNeverCutAndItsSegmentsAreReported(t *testing.T) {
	t.Parallel()
	r := newRenderer(t)
	for _, n := range []int{100, 140, 250, 400} {
		v := longNames()
		v.LinkType = message.LinkConnect
		v.URL = secret.New("https://pipedream.com/_static/connect.html?token=" + strings.Repeat("t", n-49))
		sms, err := r.SMS(v)
		if err != nil {
			t.Fatal(err)
		}
		_, units, segments := message.Segments(sms.Body.Reveal())
		if sms.Segments != segments {
			t.Errorf("a link of %d: %d segments are reported, %d are sent", n, sms.Segments, segments)
		}
		if fewest := (units - 1 + 152) / 153; n >= 140 && segments > fewest {
			t.Errorf("a link of %d takes %d segments", n, segments)
		}
		if !strings.Contains(sms.Body.Reveal(), v.URL.Reveal()+" ") {
			t.Errorf("a link of %d was cut", n)
		}
	}
}

func TestAnotherScriptIsCountedAsUCS2(t *testing.T) {
	t.Parallel()
	r := newRenderer(t)
	v := sample()
	v.Brand = "株式会社アクメ"
	sms, err := r.SMS(v)
	if err != nil {
		t.Fatal(err)
	}
	enc, units, segments := message.Segments(sms.Body.Reveal())
	if enc != message.UCS2 || sms.Segments != segments || units <= 70 || segments != 2 {
		t.Errorf("%s, %d units, %d segments, reported %d", enc, units, segments, sms.Segments)
	}
}
