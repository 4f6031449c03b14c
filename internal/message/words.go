package message

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"text/template"
	"time"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"

	"github.com/connectlink/connectlink/internal/markup"
)

// fallbackLanguage answers for every language that has no folder.
const fallbackLanguage = "en"

// Languages are the languages there are texts for.
type Languages struct {
	fsys fs.FS
	all  map[string]*Language // by lower-case tag
	tags []string
}

// Language is one language's folder, with that of its region before it.
type Language struct {
	Tag  string // "en", "en-US": for the lang attribute
	Dir  string // "ltr" or "rtl"
	Name string // what the language calls itself: "English", "Deutsch"

	fsys    fs.FS
	folders []string // most specific first
	words   *template.Template
}

// NewLanguages reads the words of every language folder in fsys. A folder with
// a region holds what differs from its language's folder, or, without one, all.
func NewLanguages(fsys fs.FS) (*Languages, error) {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, fmt.Errorf("list the languages of the templates: %w", err)
	}
	ls := &Languages{fsys: fsys, all: map[string]*Language{}}
	for _, e := range entries {
		if !e.IsDir() || e.Name() == layoutFolder {
			continue
		}
		l, err := newLanguage(fsys, e.Name())
		if err != nil {
			return nil, fmt.Errorf("language %s: %w", e.Name(), err)
		}
		ls.all[strings.ToLower(l.Tag)] = l
		ls.tags = append(ls.tags, l.Tag)
	}
	if ls.all[fallbackLanguage] == nil {
		return nil, fmt.Errorf("the templates have no language %q to fall back to", fallbackLanguage)
	}
	// A language that is there in regions only: pt is pt-BR. The first serves all others.
	for _, tag := range ls.tags {
		if base := strings.ToLower(baseOf(tag)); ls.all[base] == nil {
			ls.all[base] = ls.all[strings.ToLower(tag)]
		}
	}
	return ls, nil
}

func newLanguage(fsys fs.FS, tag string) (*Language, error) {
	known, err := language.Parse(tag)
	if err != nil {
		return nil, errors.New("the folder's name is no language tag, such as pt or pt-BR")
	}
	l := &Language{Tag: tag, fsys: fsys, folders: tagChain(tag)}
	funcs := template.FuncMap{"nth": nthWord, "renamed": renamePlace, "plural": pluralOf(known)}
	all := template.New("words.txt").Funcs(funcs)
	// A language of a project's own may be older than this word, which only staff read.
	if _, err := all.New("").Parse(`{{define "sample-subject"}}[Test] {{.}}{{end}}`); err != nil {
		return nil, fmt.Errorf("parse words: %w", err)
	}
	// From the language to the region, so that the region redefines. What no folder
	// defines is an error below.
	for i := len(l.folders) - 1; i >= 0; i-- {
		name := path.Join(l.folders[i], "words.txt")
		src, err := fs.ReadFile(fsys, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read words: %w", err)
		}
		if _, err := all.New(name).Parse(string(src)); err != nil {
			return nil, fmt.Errorf("parse words: %w", err)
		}
	}
	if l.words, err = markup.Text(template.New("words.txt").Funcs(funcs), all, "dir", "language", "duration", "moment", "clock", "place", "sample-subject"); err != nil {
		return nil, err
	}
	if l.Dir, err = l.word("dir", nil); err != nil {
		return nil, err
	}
	if l.Name, err = l.word("language", nil); err != nil {
		return nil, err
	}
	if l.Dir != "ltr" && l.Dir != "rtl" {
		return nil, fmt.Errorf(`dir is %q, not "ltr" or "rtl"`, l.Dir)
	}
	return l, l.rehearse()
}

// rehearse tries every word there is, so that Duration, Moment and SampleSubject cannot
// fail: each month and weekday, both halves of the day, every plural.
func (l *Language) rehearse() error {
	if _, err := l.word("sample-subject", "Subject"); err != nil {
		return err
	}
	place := time.FixedZone("Some/Where", 0)
	for i := range 12 + 7 {
		// The first of each month, then the rest of a week in December.
		at := time.Date(2026, time.Month(1+min(i, 11)), 1+max(0, i-11), 12*(i%2), 0, 0, 0, time.UTC)
		for _, named := range []bool{false, true} {
			if _, err := l.moment("moment", at, place, named); err != nil {
				return err
			}
		}
	}
	for _, n := range []int{1, 2, 3, 5, 11, 21, 22} { // one of each category of every language
		// Minutes, hours beside minutes, days beside hours: wherever a plural stands.
		for _, d := range []time.Duration{
			time.Duration(n) * time.Minute, time.Duration(n) * time.Hour, time.Duration(n)*time.Hour + 5*time.Minute,
			time.Duration(n) * 24 * time.Hour, time.Duration(n)*24*time.Hour + 5*time.Hour,
		} {
			if _, err := l.duration(d); err != nil {
				return err
			}
		}
	}
	return nil
}

// tagChain lists a tag and its parents: pt-BR, pt.
func tagChain(tag string) []string {
	out := []string{tag}
	for {
		i := strings.LastIndexByte(tag, '-')
		if i < 0 {
			return out
		}
		tag = tag[:i]
		out = append(out, tag)
	}
}

func baseOf(tag string) string {
	base, _, _ := strings.Cut(tag, "-")
	return base
}

// nthWord picks a word by a number counted from one.
func nthWord(n int, words ...string) (string, error) {
	if n < 1 || n > len(words) {
		return "", fmt.Errorf("no word number %d of %d", n, len(words))
	}
	return words[n-1], nil
}

// renamePlace gives what a language calls a place, from pairs of the zone's name
// and the language's; a place that is not among them keeps its own.
func renamePlace(name string, pairs ...string) (string, error) {
	if len(pairs)%2 != 0 {
		return "", errors.New("renamed wants pairs of names")
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i] == name {
			return pairs[i+1], nil
		}
	}
	return name, nil
}

// pluralOf makes the function that picks a noun's form by CLDR's rules for a
// language: {{plural .Days "one" "# day" "other" "# days"}}. # is the number. A
// missing form for the number's category is an error, so that Arabic with two
// forms instead of six does not start.
func pluralOf(tag language.Tag) func(n int, forms ...string) (string, error) {
	names := map[plural.Form]string{
		plural.Zero: "zero", plural.One: "one", plural.Two: "two", plural.Few: "few", plural.Many: "many", plural.Other: "other",
	}
	return func(n int, forms ...string) (string, error) {
		if len(forms)%2 != 0 {
			return "", errors.New("plural wants pairs of a category and a form")
		}
		want := names[plural.Cardinal.MatchPlural(tag, n, 0, 0, 0, 0)]
		for i := 0; i < len(forms); i += 2 {
			if forms[i] == want {
				return strings.ReplaceAll(forms[i+1], "#", strconv.Itoa(n)), nil
			}
		}
		return "", fmt.Errorf("no form %q, which %d takes in %s", want, n, tag)
	}
}

// Tags lists the languages there are.
func (ls *Languages) Tags() []string { return append([]string(nil), ls.tags...) }

// Match gives the language of the first wanted tag that has one, trying each
// tag's parents too, else English. Tags are BCP 47; "pt_BR" is understood.
func (ls *Languages) Match(wanted ...string) *Language {
	for _, w := range wanted {
		w = strings.ToLower(strings.ReplaceAll(w, "_", "-"))
		for _, tag := range tagChain(w) {
			if l := ls.all[tag]; l != nil {
				return l
			}
		}
	}
	return ls.all[fallbackLanguage]
}

// ReadFile reads a file of the language: the region's own, otherwise its
// language's, never another language's. It returns the file's name, for
// messages about faults in it.
func (l *Language) ReadFile(name string) (file string, src []byte, err error) {
	for _, folder := range l.folders {
		file = path.Join(folder, name)
		src, err := fs.ReadFile(l.fsys, file)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return file, src, err
		}
	}
	return "", nil, fmt.Errorf("language %s has no file %s: %w", l.Tag, name, fs.ErrNotExist)
}

// Duration says d in words, to the minute below two days and to the hour from
// there: "45 minutes", "3 h 48 min", "7 days".
func (l *Language) Duration(d time.Duration) string { return mustRender(l.duration(d)) }

func (l *Language) duration(d time.Duration) (string, error) {
	var parts struct{ Days, Hours, Minutes int }
	if d >= 48*time.Hour-30*time.Second {
		h := int(d.Round(time.Hour) / time.Hour)
		parts.Days, parts.Hours = h/24, h%24
	} else {
		m := max(int(d.Round(time.Minute)/time.Minute), 1)
		parts.Hours, parts.Minutes = m/60, m%60
	}
	return l.word("duration", parts)
}

// Moment says t in words to the minute, never later than t. With named, zone is
// the reader's and its place stands beside the time; otherwise the time is UTC.
func (l *Language) Moment(t time.Time, zone *time.Location, named bool) string {
	return mustRender(l.moment("moment", t, zone, named))
}

// Clock writes the time of day alone, for a line that has no room for more: UTC
// is named, a zone of the reader's is not.
func (l *Language) Clock(t time.Time, zone *time.Location, named bool) string {
	clock := mustRender(l.moment("clock", t, zone, named))
	if !named || zone == nil || placeOf(zone) == "" {
		clock += " UTC"
	}
	return clock
}

func (l *Language) moment(word string, t time.Time, zone *time.Location, named bool) (string, error) {
	place := ""
	if named && zone != nil {
		place = placeOf(zone)
	}
	if place == "" {
		zone = time.UTC
	}
	if place != "" {
		var err error
		if place, err = l.word("place", place); err != nil {
			return "", err
		}
	}
	t = t.In(zone)
	parts := struct {
		Hour, Hour12, Minute, Day, Month, Weekday, Year int
		PM                                              bool
		Place                                           string
	}{
		Hour: t.Hour(), Hour12: (t.Hour()+11)%12 + 1, PM: t.Hour() >= 12, Minute: t.Minute(),
		Day: t.Day(), Month: int(t.Month()), Weekday: (int(t.Weekday())+6)%7 + 1, Year: t.Year(),
		Place: place,
	}
	return l.word(word, parts)
}

// placeOf names a zone for people: "Europe/Berlin" is Berlin. Empty for UTC,
// for the machine's own zone and for fixed offsets, which name no place.
func placeOf(zone *time.Location) string {
	name := zone.String()
	i := strings.LastIndexByte(name, '/')
	if i < 0 || strings.HasPrefix(name, "Etc/") {
		return ""
	}
	return strings.ReplaceAll(name[i+1:], "_", " ")
}

// Owns reports whether the language has a folder of that name itself, rather than
// its parent's. A region without one shares its language's.
func (l *Language) Owns(folder string) bool {
	_, err := fs.Stat(l.fsys, path.Join(l.folders[0], folder))
	return err == nil
}

// Parent gives the tag without its last part, "" for a plain language.
func (l *Language) Parent() string {
	if len(l.folders) < 2 {
		return ""
	}
	return l.folders[1]
}

func (l *Language) word(name string, data any) (string, error) {
	var b strings.Builder
	if err := l.words.ExecuteTemplate(&b, name, data); err != nil {
		return "", fmt.Errorf("words of %s: %w", l.Tag, err)
	}
	return b.String(), nil
}

// mustRender is for words that rehearse has tried.
func mustRender(s string, err error) string {
	if err != nil {
		panic(err)
	}
	return s
}
