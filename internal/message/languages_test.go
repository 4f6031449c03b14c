package message_test

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/net/html"

	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/templates"
)

func TestEveryLanguageHasEveryFileThatEnglishHas(t *testing.T) {
	t.Parallel()
	files := func(lang string) []string {
		var out []string
		err := fs.WalkDir(templates.FS, lang, func(name string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				out = append(out, strings.TrimPrefix(name, lang+"/"))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	want := files("en")
	if len(want) < 20 {
		t.Fatalf("English has %d files", len(want))
	}
	for lang := range translated(t) {
		got := files(lang)
		for _, f := range want {
			if !slices.Contains(got, f) {
				t.Errorf("%s lacks %s", lang, f)
			}
		}
		for _, f := range got {
			if !slices.Contains(want, f) {
				t.Errorf("%s/%s is read by nobody: English has no such file", lang, f)
			}
		}
	}
}

func TestDurationsTakeTheRightPlural(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	ls := languages(t)
	for _, tt := range []struct {
		lang string
		d    time.Duration
		want string
	}{
		{"es", time.Minute, "1 minuto"},
		{"es", time.Hour, "1 hora"},
		{"es", 7 * day, "7 días"},
		{"es", 3*time.Hour + 48*time.Minute, "3 h 48 min"},
		{"fr", time.Hour, "1 heure"},
		{"fr", 45 * time.Minute, "45 minutes"},
		{"fr", 6*day + 5*time.Hour, "6 jours 5 h"},
		{"de", time.Hour, "1 Stunde"},
		{"de", 4 * time.Hour, "4 Stunden"},
		{"de", 30 * day, "30 Tage"},
		{"de", 3*time.Hour + 48*time.Minute, "3 Std. 48 Min."},
		{"ar", time.Minute, "دقيقة واحدة"},
		{"ar", 2 * time.Minute, "دقيقتين"},
		{"ar", 3 * time.Minute, "3 دقائق"},
		{"ar", 10 * time.Minute, "10 دقائق"},
		{"ar", 11 * time.Minute, "11 دقيقة"},
		{"ar", time.Hour, "ساعة واحدة"},
		{"ar", 2 * time.Hour, "ساعتين"},
		{"ar", 4 * time.Hour, "4 ساعات"},
		{"ar", 24 * time.Hour, "24 ساعة"},
		{"ar", 2 * day, "يومين"},
		{"ar", 3 * day, "3 أيام"},
		{"ar", 11 * day, "11 يومًا"},
		{"ar", 30 * day, "30 يومًا"},
		{"ar", 100 * day, "100 يوم"},
		{"ar", 103 * day, "103 أيام"},
		{"ar", 3*time.Hour + 48*time.Minute, "3 ساعات و48 دقيقة"},
		{"ar", 2*day + 2*time.Hour, "يومين وساعتين"},
		{"pt-BR", time.Minute, "1 minuto"},
		{"pt-BR", 10 * time.Minute, "10 minutos"},
		{"pt-BR", time.Hour, "1 hora"},
		{"pt-BR", 4 * time.Hour, "4 horas"},
		{"pt-BR", 3*time.Hour + 48*time.Minute, "3 h 48 min"},
		{"pt-BR", 7 * day, "7 dias"},
		{"pt-BR", 6*day + 5*time.Hour, "6 dias e 5 h"},
		{"ja", time.Minute, "1分"},
		{"ja", 4 * time.Hour, "4時間"},
		{"ja", 3*time.Hour + 48*time.Minute, "3時間48分"},
		{"ja", 7 * day, "7日間"},
		{"ja", 6*day + 5*time.Hour, "6日と5時間"},
	} {
		if got := ls.Match(tt.lang).Duration(tt.d); got != tt.want {
			t.Errorf("%s %v: %q, want %q", tt.lang, tt.d, got, tt.want)
		}
	}
}

func TestALanguageWithAPluralTooFewDoesNotStart(t *testing.T) {
	t.Parallel()
	files := templateFiles(t)
	replaceIn("ar/words.txt", `"two" "ساعتين" `, "")(files)
	if _, err := message.NewLanguages(files); err == nil || !strings.Contains(err.Error(), `"two"`) {
		t.Errorf("Arabic without a dual: %v", err)
	}
}

func TestMomentsAreSaidAsTheLanguageSaysThem(t *testing.T) {
	t.Parallel()
	ls := languages(t)
	zone := func(name string) *time.Location {
		z, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		return z
	}
	at := time.Date(2026, 12, 1, 17, 40, 59, 0, time.UTC)
	for _, tt := range []struct {
		lang string
		at   time.Time
		zone *time.Location
		want string
	}{
		{"es", at, zone("America/New_York"), "las 12:40 del martes 1 de diciembre (hora de Nueva York)"},
		{"es", at.Add(8 * time.Hour), zone("Europe/London"), "la 1:40 del miércoles 2 de diciembre (hora de Londres)"},
		{"es", at, nil, "las 17:40 UTC del martes 1 de diciembre"},
		{"fr", at, zone("Europe/London"), "mardi 1er décembre à 17h40 (heure locale, Londres)"},
		{"fr", at.Add(24 * time.Hour), nil, "mercredi 2 décembre à 17h40 UTC"},
		{"de", at, zone("Europe/Vienna"), "Dienstag, 1. Dezember, 18:40 Uhr (Ortszeit Wien)"},
		{"de", at, zone("Europe/Berlin"), "Dienstag, 1. Dezember, 18:40 Uhr (Ortszeit Berlin)"},
		{"de", at, nil, "Dienstag, 1. Dezember, 17:40 Uhr UTC"},
		{"ar", at, zone("Africa/Cairo"), "الساعة 7:40 م يوم الثلاثاء 1 ديسمبر (بتوقيت القاهرة)"},
		{"ar", at, zone("Asia/Dubai"), "الساعة 9:40 م يوم الثلاثاء 1 ديسمبر (بتوقيت دبي)"},
		{"pt-BR", at, zone("America/Sao_Paulo"), "terça-feira, 1º de dezembro, às 14:40 (horário de São Paulo)"},
		{"pt-BR", at.Add(8 * time.Hour), nil, "quarta-feira, 2 de dezembro, às 01:40 UTC"},
		{"ja", at, zone("Asia/Tokyo"), "12月2日（水）2:40（日本時間）"},
		{"ja", at, zone("Europe/Berlin"), "12月1日（火）18:40（ベルリン時間）"},
		{"ja", at, nil, "12月1日（火）17:40 UTC"},
		{"ar", at.Add(8 * time.Hour), nil, "الساعة 1:40 ص يوم الأربعاء 2 ديسمبر (بالتوقيت العالمي UTC)"},
	} {
		if got := ls.Match(tt.lang).Moment(tt.at, tt.zone, true); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.lang, got, tt.want)
		}
	}
}

// TestTextMessagesOfEveryLanguageStayCheap is TestTextMessagesFitOneSegment for
// the other languages.
func TestTextMessagesOfEveryLanguageStayCheap(t *testing.T) {
	t.Parallel()
	r := newRenderer(t)
	const link = "https://go.northwindtr.example/c/x7Kp2mQ9r" // 42 characters
	for tag := range translated(t) {
		most, enc := cheapest(tag)
		for _, kind := range []message.Kind{message.First, message.Resend, message.Reminder} {
			for _, by := range []message.Initiator{message.ByProduct, message.ByUser} {
				for _, brand := range []string{"Acme", "Northwind Traders", "Müller & Söhne", "Crédit Agrícola"} {
					for _, app := range []string{"Slack", "Google Search Console", "Microsoft Outlook Calendar (Legacy)"} {
						for _, inviter := range []string{"", "Sam Rivera", "María “Mari” O’Brien–Łukasz", "Анна Иванова"} {
							for _, life := range []time.Duration{4 * time.Hour, 3*time.Hour + 48*time.Minute, 29*24*time.Hour + 23*time.Hour} {
								v := sample()
								v.Locale, v.Kind, v.Initiator, v.Brand, v.AppName, v.Inviter = tag, kind, by, brand, app, inviter
								v.ExpiresAt, v.URL = v.Now.Add(life), secret.New(link)
								sms, err := r.SMS(v)
								if err != nil {
									t.Fatal(err)
								}
								body := sms.Body.Reveal()
								got, units, segments := message.Segments(body)
								if segments > most || got != enc || sms.Segments != segments {
									t.Errorf("%s: %d units, %s, %d segments (said %d): %s", tag, units, got, segments, sms.Segments, body)
								}
								if strings.Count(body, link+" ") != 1 || !strings.Contains(body, "STOP") {
									t.Errorf("%s: the link is not whole and apart, or there is no opt-out: %s", tag, body)
								}
							}
						}
					}
				}
			}
		}
	}
}

// Lines of a script without spaces end between characters, but neither before a closing
// mark nor inside a name or an address.
func TestLinesOfJapaneseMailsFitTheirWidth(t *testing.T) {
	t.Parallel()
	r := newRenderer(t)
	for _, kind := range []message.Kind{message.First, message.Resend, message.Reminder} {
		v := sample()
		v.Locale, v.Kind, v.Inviter, v.CanRenew, v.CanReport = "ja", kind, "Sam Rivera", true, true
		lines := strings.Split(render(t, r, v).Text.Reveal(), "\n")
		full := 0
		for _, line := range lines {
			columns := 0
			for _, c := range line {
				columns++
				if c >= 0x1100 {
					columns++
				}
			}
			if columns > 76 {
				t.Errorf("%d columns: %s", columns, line)
			}
			if columns > 70 {
				full++
			}
			if c, _ := utf8.DecodeRuneInString(line); strings.ContainsRune("、。）」ー", c) && line != "" {
				t.Errorf("a line begins with %q: %s", c, line)
			}
		}
		if text := strings.Join(lines, "\n"); full < 3 || !strings.Contains(text, "pat@customer.example") || !strings.Contains(text, "pipedream.com") {
			t.Errorf("%d full lines, or an address is broken:\n%s", full, text)
		}
	}
}

func TestArabicKeepsAccentsThatGSMWouldLose(t *testing.T) {
	t.Parallel()
	v := sample()
	v.Locale, v.Brand = "ar", "Crédit Agrícola"
	sms, err := newRenderer(t).SMS(v)
	if err != nil {
		t.Fatal(err)
	}
	if body := sms.Body.Reveal(); !strings.Contains(body, v.Brand) {
		t.Errorf("the message travels in UCS-2 anyway, and the name lost its accents: %s", body)
	}
}

func TestASenderWithoutRepliesSaysWhereToStop(t *testing.T) {
	t.Parallel()
	r := newRenderer(t)
	const page = "https://go.acme.example/s/x7Kp2mQ9rT4vW8sZ"
	for _, tag := range written(t) {
		for _, kind := range []message.Kind{message.First, message.Resend, message.Reminder} {
			v := sample()
			v.Locale, v.Kind, v.StopURL = tag, kind, secret.New(page)
			sms, err := r.SMS(v)
			if err != nil {
				t.Fatal(err)
			}
			body := sms.Body.Reveal()
			if !strings.HasSuffix(body, ": "+page) || strings.Contains(body, "STOP") {
				t.Errorf("%s %s: %s", tag, kind, body)
			}
			if most, _ := cheapest(tag); most == 1 && sms.Segments != 1 {
				t.Errorf("%s %s: %d segments: %s", tag, kind, sms.Segments, body)
			}
		}
	}
	v := sample()
	v.StopURL = secret.New("javascript:canary")
	if _, err := r.SMS(v); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("a stop address that is none: %v", err)
	}
}

// TestHostileValuesChangeNothingInAnyLanguage sets all typed values at once: the
// parsed mail keeps our elements, and our one link beside the privacy notice.
func TestHostileValuesChangeNothingInAnyLanguage(t *testing.T) {
	t.Parallel()
	r := newRenderer(t)
	set := func(v *message.Vars, s string) { v.Inviter, v.RecipientName, v.Reason, v.Note = s, s, s, s }
	for _, tag := range written(t) {
		for i, bad := range hostile {
			t.Run(fmt.Sprintf("%s %d", tag, i), func(t *testing.T) {
				t.Parallel()
				for _, kind := range []message.Kind{message.First, message.Resend, message.Reminder} {
					v := sample()
					v.Locale, v.Kind, v.CanRenew, v.CanReport = tag, kind, true, true
					set(&v, "Name")
					want := elements(t, render(t, r, v).HTML.Reveal())
					set(&v, bad)
					mail := render(t, r, v)
					for el, n := range elements(t, mail.HTML.Reveal()) {
						if n > want[el] {
							t.Errorf("<%s> appears %d times instead of %d", el, n, want[el])
						}
					}
					for n := range parse(t, mail.HTML.Reveal()).Descendants() {
						if n.Type != html.ElementNode {
							continue
						}
						if h := attr(n, "href"); h != "" && h != inviteURL && h != v.PrivacyURL {
							t.Errorf("a link to %s", h)
						}
						if attr(n, "src") != "" {
							t.Errorf("<%s> loads something", n.Data)
						}
					}
					if text := mail.Text.Reveal(); strings.Count(text, "://") != 2 || strings.Contains(text, "www.") {
						t.Errorf("addresses beside ours: %s", text)
					}
					sms, err := r.SMS(v)
					if err != nil {
						t.Fatal(err)
					}
					if body := sms.Body.Reveal(); strings.Count(body, "://") != 1 {
						t.Errorf("addresses beside ours: %s", body)
					}
				}
			})
		}
	}
}
