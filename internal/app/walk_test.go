package app_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// browserOfPerson is what the pages can tell of a person's browser.
type browserOfPerson struct {
	name, agent, language string
	scripts               bool
}

// walk is a person, or a bot, who goes from page to page: it follows the main button
// of each, as far as it leads.
type walk struct {
	http    *http.Client
	browser browserOfPerson

	at       string // the page's state, "pipedream" on Pipedream's
	language string // of our last page
	taps     int    // on our pages
	seen     []string
	retryAt  time.Time // by the busy page

	url  *url.URL
	root *html.Node
}

// steps is more than any way through the pages needs.
const steps = 12

func (w *walk) isAtPipedream() bool { return w.at == "pipedream" }

// open opens a link and goes on until the person has to wait or is done.
func (w *walk) open(link string) error {
	if err := w.get(link); err != nil {
		return err
	}
	return w.goOn()
}

func (w *walk) goOn() error {
	for range steps {
		var err error
		switch w.at {
		case "connected", "finishing", "sent", "busy":
			return nil
		case "pipedream":
			err = w.answerPipedream("connect")
		default:
			err = w.press()
		}
		if err != nil {
			return err
		}
	}
	return fmt.Errorf("the pages lead nowhere: %v", w.seen)
}

// retry goes on from the busy page: its script presses for the person.
func (w *walk) retry() error {
	form := w.mainForm()
	if form == nil {
		return fmt.Errorf("the busy page has no button")
	}
	fields := fieldsOf(form)
	if w.browser.scripts && attr(form, "data-retry") != "" {
		fields.Set("retry", "1")
		fields.Set("js", "1")
		fields.Set("g", "")
	} else {
		w.taps++
		w.handFields(fields)
	}
	if err := w.send(http.MethodPost, attr(form, "action"), fields); err != nil {
		return err
	}
	return w.goOn()
}

// press presses the main button: the first of the page that is no second choice.
func (w *walk) press() error {
	if w.root == nil {
		return fmt.Errorf("there is no page to press on")
	}
	w.taps++
	for n := range w.main().Descendants() {
		switch {
		case n.Type != html.ElementNode || hasClass(n, "second") || hasAttr(n, "hidden"):
		case n.DataAtom == atom.A && hasClass(n, "button"):
			target := attr(n, "href")
			if strings.HasPrefix(target, "intent://") {
				// Android opens it in the person's own browser.
				target = strings.Replace(target[:strings.Index(target, "#Intent")], "intent:", w.url.Scheme+":", 1)
				w.browser.agent = smallPhone
			}
			return w.get(target)
		case n.DataAtom == atom.Form && strings.EqualFold(attr(n, "method"), "post"):
			fields := fieldsOf(n)
			if hasAttr(n, "data-press") {
				w.handFields(fields)
			}
			return w.send(http.MethodPost, attr(n, "action"), fields)
		}
	}
	return fmt.Errorf("the page %q has no main button", w.at)
}

// handFields are the fields that the page's script adds to a press.
func (w *walk) handFields(fields url.Values) {
	if w.browser.scripts {
		fields.Set("js", "1")
		fields.Set("g", "1")
		fields.Set("auto", "")
	}
}

// answerPipedream presses a button of Pipedream's page.
func (w *walk) answerPipedream(button string) error {
	form := w.mainForm()
	if form == nil {
		return fmt.Errorf("Pipedream's page is a dead end: %s", textOf(w.root))
	}
	fields := fieldsOf(form)
	fields.Set("do", button)
	return w.send(http.MethodPost, attr(form, "action"), fields)
}

// finish waits on the page that comes after Pipedream's: it asks for itself again, as
// its Refresh header says. The caller knows that the connection is confirmed.
func (w *walk) finish() error {
	if w.at != "finishing" {
		return nil
	}
	_, target, ok := strings.Cut(w.seen[len(w.seen)-1], ";url=")
	if !ok {
		return fmt.Errorf("the page %q does not go on", w.at)
	}
	return w.get(target)
}

func (w *walk) get(target string) error { return w.send(http.MethodGet, target, nil) }

// send makes a request as the person's browser does, and follows redirects.
func (w *walk) send(method, target string, fields url.Values) error {
	at, err := url.Parse(target)
	if err != nil {
		return fmt.Errorf("an address cannot be read")
	}
	if w.url != nil {
		at = w.url.ResolveReference(at)
	}
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader(fields.Encode())
	}
	req, err := http.NewRequest(method, at.String(), body) //nolint:noctx // the client has a limit
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", w.browser.agent)
	if w.browser.language != "" {
		req.Header.Set("Accept-Language", w.browser.language)
		req.Header.Set("Sec-Fetch-Mode", "navigate")
		if fields.Get("retry") == "" {
			req.Header.Set("Sec-Fetch-User", "?1")
		}
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", "null")
	}
	res, err := w.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	w.url = res.Request.URL
	return w.read(res, raw)
}

func (w *walk) read(res *http.Response, raw []byte) error {
	var err error
	if w.root, err = html.Parse(bytes.NewReader(raw)); err != nil {
		return err
	}
	w.at = "pipedream"
	if main := w.main(); main != nil && hasClass(main, "card") && res.Header.Get("Content-Language") != "" {
		w.at = strings.TrimSpace(strings.TrimPrefix(attr(main, "class"), "card"))
		w.language = res.Header.Get("Content-Language")
	}
	if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil {
		w.retryAt = time.Now().Add(time.Duration(seconds) * time.Second)
	}
	w.seen = append(w.seen, w.at+" "+res.Header.Get("Refresh"))
	if res.StatusCode >= http.StatusInternalServerError && w.at != "busy" {
		return fmt.Errorf("the page answers %d", res.StatusCode)
	}
	return nil
}

func (w *walk) main() *html.Node {
	for n := range w.root.Descendants() {
		if n.DataAtom == atom.Main {
			return n
		}
	}
	return nil
}

func (w *walk) mainForm() *html.Node {
	for n := range w.root.Descendants() {
		if n.DataAtom == atom.Form && strings.EqualFold(attr(n, "method"), "post") {
			return n
		}
	}
	return nil
}

func fieldsOf(form *html.Node) url.Values {
	out := url.Values{}
	for n := range form.Descendants() {
		if n.DataAtom == atom.Input && attr(n, "name") != "" {
			out.Add(attr(n, "name"), attr(n, "value"))
		}
	}
	return out
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode && c.Parent.DataAtom != atom.Style && c.Parent.DataAtom != atom.Script {
			b.WriteString(c.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func hasAttr(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}

func hasClass(n *html.Node, class string) bool {
	for _, c := range strings.Fields(attr(n, "class")) {
		if c == class {
			return true
		}
	}
	return false
}
