package message_test

import (
	"fmt"
	"io/fs"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/net/html"

	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/templates"
)

func languages(t testing.TB) *message.Languages {
	t.Helper()
	ls, err := message.NewLanguages(templates.FS)
	if err != nil {
		t.Fatal(err)
	}
	return ls
}

func TestDurationsAreTheRealOnes(t *testing.T) {
	t.Parallel()
	en := languages(t).Match("en")
	for d, want := range map[time.Duration]string{
		time.Second:                                    "1 minute",
		45 * time.Minute:                               "45 minutes",
		time.Hour:                                      "1 hour",
		time.Hour + time.Minute:                        "1 h 1 min",
		3*time.Hour + 48*time.Minute:                   "3 h 48 min",
		4*time.Hour - 2*time.Second:                    "4 hours",
		4*time.Hour - 40*time.Second:                   "3 h 59 min",
		24 * time.Hour:                                 "24 hours",
		36*time.Hour + 30*time.Minute:                  "36 h 30 min",
		48*time.Hour - 29*time.Second:                  "2 days",
		7*24*time.Hour - time.Second:                   "7 days",
		6*24*time.Hour + 5*time.Hour:                   "6 days 5 h",
		30*24*time.Hour - 20*time.Minute:               "30 days",
		2*24*time.Hour + 23*time.Hour + 59*time.Minute: "3 days",
	} {
		if got := en.Duration(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestMomentsNameAPlaceOnlyWhenItIsTheReaders(t *testing.T) {
	t.Parallel()
	ls := languages(t)
	at := time.Date(2026, 11, 23, 17, 40, 59, 0, time.UTC)
	load := func(name string) *time.Location {
		z, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		return z
	}
	for _, tt := range []struct {
		locale string
		zone   *time.Location
		named  bool
		want   string
	}{
		{"en", load("Europe/Berlin"), true, "18:40 on Monday 23 November (Berlin time)"},
		{"en", load("Europe/Berlin"), false, "17:40 UTC on Monday 23 November"},
		{"en", nil, true, "17:40 UTC on Monday 23 November"},
		{"en", time.UTC, true, "17:40 UTC on Monday 23 November"},
		{"en", time.FixedZone("X", 3600), true, "17:40 UTC on Monday 23 November"},
		{"en", load("America/Argentina/Buenos_Aires"), true, "14:40 on Monday 23 November (Buenos Aires time)"},
		{"en", load("Asia/Tokyo"), true, "02:40 on Tuesday 24 November (Tokyo time)"},
		{"en-US", load("America/New_York"), true, "12:40 PM on Monday, November 23 (New York time)"},
		{"en_us", load("America/Los_Angeles"), true, "9:40 AM on Monday, November 23 (Los Angeles time)"},
		{"en-GB", load("Europe/London"), true, "17:40 on Monday 23 November (London time)"},
	} {
		if got := ls.Match(tt.locale).Moment(at, tt.zone, tt.named); got != tt.want {
			t.Errorf("%s %v: %q, want %q", tt.locale, tt.zone, got, tt.want)
		}
	}
}

func TestEveryDayAndHourHasWords(t *testing.T) {
	t.Parallel()
	ls := languages(t)
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tag := range ls.Tags() {
		// Seven hours apart: every weekday, month and hour comes up, and no two
		// moments of a year may read alike.
		seen, n := map[string]bool{}, 0
		for h := 0; h < 365*24; h += 7 {
			seen[ls.Match(tag).Moment(start.Add(time.Duration(h)*time.Hour), nil, false)] = true
			n++
		}
		if len(seen) != n {
			t.Errorf("%s: %d different moments of %d", tag, len(seen), n)
		}
	}
}

func TestLanguageFallsBackToItsParentsThenToEnglish(t *testing.T) {
	t.Parallel()
	files := templateFiles(t)
	ls, err := message.NewLanguages(files)
	if err != nil {
		t.Fatal(err)
	}
	for wanted, want := range map[string]string{
		"en": "en", "EN-us": "en-US", "en_GB": "en", "ar-EG": "ar", "ar": "ar", "fr_CA": "fr", "es-419": "es", "de-AT": "de", "pt": "pt-BR", "pt_PT": "pt-BR", "PT-br": "pt-BR", "ja-JP": "ja", "nl": "en", "": "en", "zh-Hant-TW": "en", "../../etc": "en",
	} {
		if got := ls.Match(wanted).Tag; got != want {
			t.Errorf("%q: %s, want %s", wanted, got, want)
		}
	}
	if got := ls.Match("nl-BE", "ar-SA").Tag; got != "ar" {
		t.Errorf("the second wish was not tried: %s", got)
	}

	r, err := message.NewRenderer(files)
	if err != nil {
		t.Fatal(err)
	}
	v := sample()
	v.Locale = "ar-EG"
	html := render(t, r, v).HTML.Reveal()
	if !strings.Contains(html, `<html lang="ar" dir="rtl">`) || !strings.Contains(html, "text-align:right") {
		t.Error("a right-to-left mail is not set from the right")
	}
}

// templateFiles copies the real templates into a map that a test may spoil.
func templateFiles(t testing.TB) fstest.MapFS {
	t.Helper()
	out := fstest.MapFS{}
	err := fs.WalkDir(templates.FS, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		src, err := fs.ReadFile(templates.FS, name)
		out[name] = &fstest.MapFile{Data: src}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A language that a project added is older than the word before a test's subject.
func TestALanguageNeedsNoWordForSamples(t *testing.T) {
	t.Parallel()
	files := templateFiles(t)
	const own = "{{define \"sample-subject\"}}[Prueba] {{.}}{{end}}\n"
	for name, file := range files {
		rest, ok := strings.CutPrefix(name, "es/")
		if !ok {
			continue
		}
		src := file.Data
		if rest == "words.txt" && !strings.Contains(string(src), own) {
			t.Fatal("Spanish has no word of its own")
		}
		files["nl/"+rest] = &fstest.MapFile{Data: []byte(strings.Replace(string(src), own, "", 1))}
	}
	r, err := message.NewRenderer(files)
	if err != nil {
		t.Fatal(err)
	}
	for locale, want := range map[string]string{"nl": "[Test] A & B", "es": "[Prueba] A & B", "es-MX": "[Prueba] A & B", "xx": "[Test] A & B"} {
		if got := r.SampleSubject(locale, "A & B"); got != want {
			t.Errorf("%s: %q", locale, got)
		}
	}
}

func TestAFaultInATemplateStopsTheStart(t *testing.T) {
	t.Parallel()
	good := templateFiles(t)
	for name, spoil := range map[string]func(fstest.MapFS){
		"syntax in the layout":             func(f fstest.MapFS) { f["layout/email.html"] = &fstest.MapFile{Data: []byte("{{define")} },
		"syntax in a sentence":             appendTo("en/email/body.txt", `{{define "x"}}{{end`),
		"an unknown field in an sms":       appendTo("en/sms/resend.txt", "{{.Brnad}}"+strings.Repeat("x", 0)),
		"an unknown field behind a branch": replaceIn("en/email/body.txt", "{{name .Reason}}", "{{name .Raeson}}"),
		"a missing sentence":               replaceIn("en/email/body.txt", `{{define "help"}}`, `{{define "halp"}}`),
		"a missing file":                   func(f fstest.MapFS) { delete(f, "en/sms/resend.txt") },
		"no wording at all":                func(f fstest.MapFS) { f["en/sms/first.txt"] = &fstest.MapFile{Data: []byte("{{/* soon */}}\n")} },
		"no English": func(f fstest.MapFS) {
			maps.DeleteFunc(f, func(k string, _ *fstest.MapFile) bool { return strings.HasPrefix(k, "en") })
		},
		"a language half translated":    func(f fstest.MapFS) { f["nl/words.txt"] = f["en/words.txt"] },
		"a region without its language": func(f fstest.MapFS) { f["nl-BE/words.txt"] = f["en/words.txt"] },
		"a folder that is no language":  func(f fstest.MapFS) { f["notes_and_more/words.txt"] = f["en/words.txt"] },
		"no word for itself":            replaceIn("en/words.txt", `{{define "language"}}`, `{{define "lang"}}`),
		"no way to stop":                func(f fstest.MapFS) { delete(f, "es/sms/stop.txt") },
		"a direction that is none":      replaceIn("en/words.txt", "ltr", "up"),
		"a month too few":               replaceIn("en/words.txt", `"January" "February" `, ""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := maps.Clone(good)
			spoil(files)
			if _, err := message.NewRenderer(files); err == nil {
				t.Error("NewRenderer took it")
			}
		})
	}
}

func appendTo(name, s string) func(fstest.MapFS) {
	return func(f fstest.MapFS) {
		f[name] = &fstest.MapFile{Data: append([]byte(string(f[name].Data)), s+"\n"...)}
	}
}

func replaceIn(name, old, new string) func(fstest.MapFS) {
	return func(f fstest.MapFS) {
		f[name] = &fstest.MapFile{Data: []byte(strings.Replace(string(f[name].Data), old, new, 1))}
	}
}

// Our own texts put emphasis on computed words only; a project's own may put it on
// typed values.
func TestEmphasisOnTypedWordsIsNoMarkup(t *testing.T) {
	t.Parallel()
	files := templateFiles(t)
	replaceIn("en/email/body.txt", "{{name .Reason}}", "{{strong .Reason}}")(files)
	r, err := message.NewRenderer(files)
	if err != nil {
		t.Fatal(err)
	}
	const typed = `to see <img src=x onerror=alert(1)> & "Q1" </strong>`
	v := sample()
	v.Inviter, v.Reason = "Sam Rivera", typed
	mail := render(t, r, v)
	var emphasized []string
	for n := range parse(t, mail.HTML.Reveal()).Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if n.Data == "strong" {
			var words strings.Builder
			for c := range n.Descendants() {
				if c.Type == html.TextNode {
					words.WriteString(c.Data)
				}
			}
			emphasized = append(emphasized, words.String())
		}
		for _, a := range n.Attr {
			if a.Key == "onerror" {
				t.Errorf("what was typed is an element: <%s %s=%q>", n.Data, a.Key, a.Val)
			}
		}
	}
	if !slices.Contains(emphasized, typed) {
		t.Errorf("emphasized are %q", emphasized)
	}
	if !strings.Contains(mail.Text.Reveal(), "Why: "+typed) {
		t.Errorf("the text says\n%s", mail.Text.Reveal())
	}
}

func TestVersionFollowsTheMessagesAndNotThePages(t *testing.T) {
	t.Parallel()
	version := func(change func(fstest.MapFS)) string {
		files := templateFiles(t)
		change(files)
		r, err := message.NewRenderer(files)
		if err != nil {
			t.Fatal(err)
		}
		return r.Version()
	}
	base := newRenderer(t).Version()
	if len(base) != 12 {
		t.Fatalf("version %q", base)
	}
	if got := version(func(fstest.MapFS) {}); got != base {
		t.Errorf("the same files give %s and %s", base, got)
	}
	if got := version(appendTo("en/pages/ready.html", " ")); got != base {
		t.Error("a page changed the messages' version")
	}
	for _, name := range []string{"layout/email.html", "en/email/body.txt", "en/sms/first.txt", "en-US/words.txt"} {
		if version(appendTo(name, " ")) == base {
			t.Errorf("a change of %s left the version as it was", name)
		}
	}
}

func TestEveryBrandColourIsLegible(t *testing.T) {
	t.Parallel()
	for i := range 16 * 16 * 16 {
		colour := fmt.Sprintf("#%x%x%x", i>>8&15, i>>4&15, i&15)
		p := message.NewPalette(colour)
		for name, pair := range map[string][2]string{
			"button text":             {p.Accent, p.OnAccent},
			"button text in the dark": {p.AccentDark, p.OnAccentDark},
			"a link on white":         {"#ffffff", p.Link},
		} {
			if c := contrast(t, pair[0], pair[1]); c < 4.5 {
				t.Errorf("%s: %s has %.2f to 1 (%v)", colour, name, c, pair)
			}
		}
		if contrast(t, p.Accent, "#ffffff") < 1.25 || contrast(t, p.AccentDark, "#17191e") < 1.15 {
			t.Errorf("%s: the button vanishes on its ground: %+v", colour, p)
		}
	}
	fallback := message.NewPalette("")
	for _, bad := range []string{"red", "#12", "#12345g", "#1234567", "#fff;background:url(x)", "javascript:", "#-12345", "#+12345"} {
		if got := message.NewPalette(bad); got != fallback {
			t.Errorf("%q was taken for a colour: %+v", bad, got)
		}
	}
}

// contrast is WCAG's formula, written apart from the package's.
func contrast(t *testing.T, a, b string) float64 {
	lum := func(s string) float64 {
		var c [3]int
		if _, err := fmt.Sscanf(s, "#%02x%02x%02x", &c[0], &c[1], &c[2]); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		sum := 0.0
		for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
			v := float64(c[i]) / 255
			if v <= 0.04045 {
				v /= 12.92
			} else {
				v = math.Pow((v+0.055)/1.055, 2.4)
			}
			sum += weight * v
		}
		return sum
	}
	x, y := lum(a), lum(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}
