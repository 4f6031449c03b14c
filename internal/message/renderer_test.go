package message_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/language"

	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/templates"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	inviteURL  = "https://go.acme.example/c/x7Kp2mQ9rT4vW8sZ"
	connectURL = "https://pipedream.com/_static/connect.html?token=ctok_5f0c1b7de2a94c3f8a6b0d9e7c41f2aa&connectLink=true&app=slack&oauthAppId=oa_1a2b3c"
)

var sentAt = time.Date(2026, 11, 23, 13, 40, 12, 0, time.UTC)

func newRenderer(t testing.TB) *message.Renderer {
	t.Helper()
	r, err := message.NewRenderer(templates.FS)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func berlin(t testing.TB) *time.Location {
	t.Helper()
	z, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func sample() message.Vars {
	return message.Vars{
		Brand: "Acme", AppName: "Slack", RecipientName: "Pat",
		URL: secret.New(inviteURL), LinkType: message.LinkInvite, Kind: message.First, Initiator: message.ByProduct,
		ExpiresAt: sentAt.Add(4*time.Hour - 2*time.Second), Now: sentAt,
		RecipientEmail: secret.New("pat@customer.example"), SupportEmail: "support@acme.example", Reference: "7KQ4-XM2P",
		LegalLine: "Acme GmbH, Torstraße 1, 10119 Berlin", PrivacyURL: "https://acme.example/privacy",
	}
}

// cases are all combinations that change the wording.
func cases(t testing.TB) map[string]message.Vars {
	out := map[string]message.Vars{}
	for _, kind := range []message.Kind{message.First, message.Resend, message.Reminder} {
		for _, link := range []message.LinkType{message.LinkInvite, message.LinkConnect} {
			for _, who := range []string{"inviter", "product", "user"} {
				for _, zone := range []string{"utc", "berlin"} {
					v := sample()
					v.Kind, v.LinkType = kind, link
					if link == message.LinkConnect {
						v.URL = secret.New(connectURL)
					}
					switch who {
					case "inviter":
						v.Inviter, v.Reason, v.Note = "Sam Rivera", "to post your build results", "Call me on Tuesday if anything is unclear."
					case "user":
						v.Initiator = message.ByUser
					}
					if zone == "berlin" {
						v.Zone, v.ZoneIsRecipients = berlin(t), true
						v.ExpiresAt = sentAt.Add(3*time.Hour + 48*time.Minute)
					}
					out[fmt.Sprintf("%s_%s_%s_%s", kind, link, who, zone)] = v
				}
			}
		}
	}
	week := sample()
	week.ExpiresAt, week.CanRenew, week.CanReport = sentAt.Add(7*24*time.Hour), true, true
	out["week_renewable"] = week
	us := sample()
	us.Locale, us.ZoneIsRecipients = "en-US", true
	us.Zone, _ = time.LoadLocation("America/New_York")
	out["new_york"] = us
	long := longNames()
	out["long_names"] = long
	for _, kind := range []message.Kind{message.First, message.Resend, message.Reminder} {
		again := sample()
		again.Kind, again.IsReconnect = kind, true
		out["reconnect_"+string(kind)] = again
		again.Initiator = message.ByUser
		out["reconnect_"+string(kind)+"_user"] = again
		far := longNames()
		far.Kind, far.IsReconnect = kind, true
		out["reconnect_"+string(kind)+"_long_names"] = far
	}
	for tag, zone := range translated(t) {
		maps.Copy(out, translatedCases(t, tag, zone))
	}
	return out
}

// written are the languages with messages of their own, in order.
func written(t testing.TB) []string {
	t.Helper()
	ls := languages(t)
	return slices.DeleteFunc(ls.Tags(), func(tag string) bool { return !ls.Match(tag).Owns("email") })
}

// translated are the languages beside English, each with a zone whose place it
// calls by a name of its own.
func translated(t testing.TB) map[string]string {
	t.Helper()
	out, ls := map[string]string{}, languages(t)
	for _, tag := range written(t) {
		if tag == "en" {
			continue
		}
		for _, zone := range []string{"America/New_York", "Europe/London", "Europe/Vienna"} {
			place, err := time.LoadLocation(zone)
			if err != nil {
				t.Fatal(err)
			}
			english := strings.ReplaceAll(zone[strings.IndexByte(zone, '/')+1:], "_", " ")
			if !strings.Contains(ls.Match(tag).Moment(sentAt, place, true), english) {
				out[tag] = zone
				break
			}
		}
		if out[tag] == "" {
			t.Errorf("%s names no place in its own words", tag)
		}
	}
	return out
}

// cheapest is what text messages in a language may take: one segment where GSM-7 has
// their letters, and two in other scripts.
func cheapest(tag string) (segments int, enc message.Encoding) {
	if script, _ := language.Make(tag).Script(); script.String() != "Latn" {
		return 2, message.UCS2
	}
	return 1, message.GSM7
}

// translatedCases are every sentence of a language at least once.
func translatedCases(t testing.TB, tag, zone string) map[string]message.Vars {
	t.Helper()
	place, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]message.Vars{}
	add := func(name string, change func(*message.Vars)) {
		for _, kind := range []message.Kind{message.First, message.Resend, message.Reminder} {
			v := sample()
			v.Locale, v.Kind = tag, kind
			change(&v)
			out[tag+"/"+string(kind)+"_"+name] = v
		}
	}
	add("inviter_local", func(v *message.Vars) {
		v.Inviter, v.Reason, v.Note = "Sam Rivera", "to post your build results", "Call me on Tuesday if anything is unclear."
		v.Zone, v.ZoneIsRecipients, v.ExpiresAt = place, true, sentAt.Add(3*time.Hour+48*time.Minute)
		v.CanRenew, v.CanReport = true, true
	})
	add("product_days", func(v *message.Vars) { v.RecipientName, v.ExpiresAt = "", sentAt.Add(7*24*time.Hour) })
	add("user", func(v *message.Vars) { v.Initiator = message.ByUser })
	again := func(v *message.Vars) {
		v.IsReconnect, v.Inviter, v.Reason = true, "Sam Rivera", "to post your build results"
	}
	add("reconnect", again)
	add("reconnect_user", func(v *message.Vars) { again(v); v.Initiator = message.ByUser })
	add("reconnect_long_names", func(v *message.Vars) {
		long := longNames()
		v.IsReconnect, v.Brand, v.AppName = true, long.Brand, long.AppName
	})
	add("connect_inviter", func(v *message.Vars) {
		v.Inviter, v.LinkType, v.URL = "Sam Rivera", message.LinkConnect, secret.New(connectURL)
	})
	add("long_names", func(v *message.Vars) {
		long := longNames()
		v.Brand, v.AppName, v.Inviter = long.Brand, long.AppName, long.Inviter
	})
	return out
}

func longNames() message.Vars {
	v := sample()
	v.Brand, v.AppName, v.Inviter = "Northwind Traders", "Google Search Console", "Alexandra Montgomery-Whitfield"
	return v
}

func TestMessagesMatchTheirGoldenFiles(t *testing.T) {
	t.Parallel()
	r := newRenderer(t)
	for name, v := range cases(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mail, err := r.Email(v)
			if err != nil {
				t.Fatal(err)
			}
			sms, err := r.SMS(v)
			if err != nil {
				t.Fatal(err)
			}
			enc, units, segments := message.Segments(sms.Body.Reveal())
			golden(t, name+".html", mail.HTML.Reveal())
			golden(t, name+".txt", "Subject: "+mail.Subject+"\n\n"+mail.Text.Reveal())
			golden(t, name+".sms.txt", fmt.Sprintf("%s\n[%s, %d units, %d segments]\n", sms.Body.Reveal(), enc, units, segments))
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s changed (-want +got); if meant, run with -update:\n%s", name, diff)
	}
}

func BenchmarkNewRenderer(b *testing.B) {
	for b.Loop() {
		newRenderer(b)
	}
}

func BenchmarkEmail(b *testing.B) {
	r, v := newRenderer(b), sample()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Email(v); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSMS(b *testing.B) {
	r, v := newRenderer(b), sample()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.SMS(v); err != nil {
			b.Fatal(err)
		}
	}
}
