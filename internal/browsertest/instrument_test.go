package browsertest_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/connectlink/connectlink/internal/browsertest"
)

// sound is a page that has nothing wrong with it, and every kind of control.
const sound = `<!doctype html><html lang="en" dir="ltr"><head><title>Sound</title><meta name="viewport" content="width=device-width"><style>
body { margin: 1rem; font: 1rem/1.5 sans-serif; background: #fff; color: #222 }
:focus-visible { outline: 2px solid #225 }
button, summary, select, input { min-height: 28px; font: inherit; max-width: 100% }
label { display: block; min-height: 28px; padding-block: 3px }
@media print { form, nav, details:not([open]) { display: none } }
</style></head><body><header>Brand</header><main><h1>Sound</h1>
<p>Some words and <a href="#a">a link</a> among them.</p>
<form><label>Name <input name="n"></label><label>Day <input type="date"></label>
<label><input type="radio" name="r" value="1"> One</label><label><input type="radio" name="r" value="2"> Two</label>
<label>Kind <select><option>A</option></select></label><button>Go</button></form>
<details><summary>More</summary><p>Folded.</p></details></main></body></html>`

// TestBrowserTheInstrumentFindsWhatIsSpoilt: a page that is sound passes, and each
// thing that is spoilt on purpose is found.
func TestBrowserTheInstrumentFindsWhatIsSpoilt(t *testing.T) {
	t.Parallel()
	ctx := browsertest.New(t)
	look := browsertest.NewInstrument(ctx, t)
	for name, c := range map[string]struct{ spoil, want string }{
		"nothing":               {`0`, ""},
		"no language":           {`document.documentElement.removeAttribute("lang")`, "html-has-lang"},
		"a wrong language":      {`document.documentElement.lang = "de"`, `the language is said to be "de"`},
		"a wrong direction":     {`document.documentElement.dir = "rtl"`, "it runs rtl"},
		"two headings":          {`document.querySelector("main").append(document.querySelector("h1").cloneNode(true))`, "there are 2 first headings"},
		"outside a landmark":    {`document.body.append(Object.assign(document.createElement("p"), {textContent: "Stray words"}))`, "region"},
		"a field of no name":    {`document.querySelector("select").parentElement.replaceWith(document.querySelector("select"))`, "select-name"},
		"pale words":            {`document.querySelector("h1").style.color = "#ddd"`, "dark: serious color-contrast"},
		"too wide":              {`document.querySelector("h1").style.width = "400px"`, "px too wide"},
		"too wide when zoomed":  {`document.querySelector("h1").style.width = "700px"`, "at 200 %, light: the page is"},
		"cut off when spaced":   {`Object.assign(document.querySelector("p").style, {height: "1.5em", width: "18em", overflow: "hidden"})`, "spaced, light: <p>"},
		"words upon words":      {`document.querySelector("h1").style.marginBottom = "-3rem"`, "overlaps"},
		"a small target":        {`Object.assign(document.querySelector("button").style, {minHeight: 0, height: "12px", marginTop: "-4px", display: "block"})`, "is a target of"},
		"a button that touches": {`document.querySelector("button").insertAdjacentHTML("afterend", "<button>Stop</button>")`, `<button> "Stop" touches <button> "Go"`},
		"a field out of line":   {`document.querySelector("form").insertAdjacentHTML("beforeend", '<p style="display:flex;gap:1rem"><input aria-label="A" style="width:6rem"><input aria-label="B" style="width:6rem;margin-top:2px"></p>')`, "2.0 px out of line"},
		"a choice cut off":      {`document.querySelector("option").textContent = "A choice of many words"; document.querySelector("select").style.width = "6rem"`, `cuts off "A choice of many words"`},
		"a hint cut off":        {`document.querySelector("input").placeholder = "Words of a placeholder that are many more than a field of usual width has room for"`, `cuts off "Words of a placeholder`},
		"a button on paper":     {`document.adoptedStyleSheets = []; document.querySelector("style").textContent = document.querySelector("style").textContent.replace("@media print", "@media none")`, `on paper: <button> "Go" is printed`},
		"dark paper":            {`document.querySelector("h1").style.cssText = "background:#000;color:#fff"`, `on paper: <h1> "Sound" has a dark ground`},
		"a head on one sheet":   {`document.querySelector("main").insertAdjacentHTML("beforeend", '<table><thead style="display:block"><tr><th>A</th></tr></thead><tbody><tr><td>1</td></tr></tbody></table>')`, "on paper: the head of a table"},
		"current by its colour": {`document.querySelector("main").insertAdjacentHTML("beforeend", '<nav aria-label="Views"><a href="#1" aria-current="true" style="background:#ddd">One view</a> <a href="#2">Other view</a></nav>')`, `in forced colours: <a> "One view" is marked`},
		"words off their line":  {`document.querySelector("p a").style.cssText = "position:relative;top:3px"`, "3.0 px off the line"},
		"an unseen focus":       {`document.querySelector("button").style.outline = "none"`, "shows its focus by an outline of none"},
		"a pale focus":          {`document.querySelector("button").style.outlineColor = "#eee"`, "has an outline with a contrast of"},
		"a covered focus":       {`document.body.insertAdjacentHTML("beforeend", '<div style="position:fixed;inset:0;background:#fff"></div>')`, "hidden behind something"},
		"a caught focus":        {`document.querySelector("select").addEventListener("keydown", e => e.preventDefault())`, "the focus is caught"},
		"never come to":         {`document.querySelector("button").addEventListener("focus", e => e.target.blur())`, "never comes to <button>"},
	} {
		if err := chromedp.Do(ctx, chromedp.Navigate("data:text/html;base64,"+base64.StdEncoding.EncodeToString([]byte(sound)))); err != nil {
			t.Fatal(err)
		}
		if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](c.spoil+"; true")); err != nil {
			t.Fatal(err)
		}
		found, err := look.Look(browsertest.Page{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if all := strings.Join(found, "\n"); c.want == "" && all != "" || !strings.Contains(all, c.want) {
			t.Errorf("%s: want %q, found %s", name, c.want, all)
		}
	}
}
