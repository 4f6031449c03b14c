package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

const (
	personAgent = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1"
	maxPage     = 1 << 20
)

func scannerAgents() []string {
	return []string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36 SafeLinks",
		"BarracudaCentral",
		"Mimecast-URL-Scan",
		"Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
		"facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
	}
}

// form is an HTML form as its owner would submit it: hidden inputs, checked
// and first radio buttons, the first button.
type form struct {
	Action string     `json:"action"` // absolute
	Fields url.Values `json:"fields"`
}

// webPage is an answer as a browser understands it.
type webPage struct {
	at     *url.URL
	status int
	target string // where a redirect leads, absolute
	root   *html.Node
}

// browse makes one request as a person's browser. errLater means worth trying
// again: no answer, or one that says so. Errors never quote the URL.
func (s *Sandbox) browse(ctx context.Context, method, target string, fields url.Values) (webPage, error) {
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader(fields.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return webPage{}, fmt.Errorf("the link is no URL")
	}
	req.Header.Set("User-Agent", personAgent)
	req.Header.Set("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
	req.Header.Set("Accept-Language", "en")
	req.Header.Set("Sec-Fetch-Mode", "navigate")
	req.Header.Set("Sec-Fetch-Dest", "document")
	req.Header.Set("Sec-Fetch-User", "?1")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", "null") // as under Referrer-Policy: no-referrer
	}
	res, err := s.http.Do(req)
	if err != nil {
		return webPage{}, errLater
	}
	defer drain(res)
	if res.StatusCode >= 500 || res.StatusCode == http.StatusTooManyRequests {
		return webPage{}, errLater
	}
	page := webPage{at: req.URL, status: res.StatusCode}
	if res.StatusCode/100 == 3 {
		if page.target, err = absolute(req.URL, res.Header.Get("Location")); err != nil {
			return page, fmt.Errorf("the redirect (%d) leads nowhere", res.StatusCode)
		}
		return page, nil
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxPage))
	if err != nil {
		return webPage{}, errLater
	}
	if page.root, err = html.Parse(bytes.NewReader(raw)); err != nil {
		return page, fmt.Errorf("the page cannot be read")
	}
	return page, nil
}

// beacon is the request that the page's own script sends once the page was
// seen. Losing it is harmless.
func (s *Sandbox) beacon(ctx context.Context, link string) {
	u, err := url.Parse(link)
	if err != nil {
		return
	}
	u.Path, u.RawQuery, u.Fragment = strings.TrimSuffix(u.Path, "/")+"/seen", "", ""
	_, _ = s.browse(ctx, http.MethodPost, u.String(), nil)
}

// fetch is a robot's request.
func (s *Sandbox) fetch(ctx context.Context, method, link, agent string) error {
	req, err := http.NewRequestWithContext(ctx, method, link, nil)
	if err != nil {
		return fmt.Errorf("the link is no URL")
	}
	req.Header.Set("User-Agent", agent)
	res, err := s.http.Do(req)
	if err != nil {
		return errLater
	}
	drain(res)
	return nil
}

func absolute(base *url.URL, ref string) (string, error) {
	u, err := url.Parse(ref)
	if err != nil || ref == "" {
		return "", fmt.Errorf("no target")
	}
	if u.IsAbs() {
		return ref, nil // verbatim: it may be a custom scheme
	}
	return base.ResolveReference(u).String(), nil
}

// isConnectLink reports whether a link is Pipedream's own.
func isConnectLink(link string) bool {
	u, err := url.Parse(link)
	return err == nil && strings.HasSuffix(u.Path, "/connect.html") && u.Query().Has("token")
}

// mainForm is the form a person would use: the POST form that leads to the
// page's own path, else the first POST form.
func (p webPage) mainForm() *form {
	var own, first *form
	for n := range p.elements(atom.Form) {
		if !strings.EqualFold(attr(n, "method"), "post") {
			continue
		}
		f := &form{Action: p.at.String(), Fields: fieldsOf(n)}
		if a := attr(n, "action"); a != "" {
			target, err := absolute(p.at, a)
			if err != nil {
				continue
			}
			f.Action = target
		}
		if first == nil {
			first = f
		}
		if u, err := url.Parse(f.Action); err == nil && u.Path == p.at.Path && own == nil {
			own = f
		}
	}
	if own != nil {
		return own
	}
	return first
}

// digitsForm is the form that waits for digits from a message, and the field
// they go into: browsers know it by the same word.
func (p webPage) digitsForm() (*form, string) {
	for n := range p.elements(atom.Form) {
		for c := range n.Descendants() {
			if c.DataAtom != atom.Input || !strings.EqualFold(attr(c, "autocomplete"), "one-time-code") {
				continue
			}
			target, err := absolute(p.at, attr(n, "action"))
			if err != nil || !strings.EqualFold(attr(n, "method"), "post") {
				continue
			}
			return &form{Action: target, Fields: fieldsOf(n)}, attr(c, "name")
		}
	}
	return nil, ""
}

// reportTarget finds "This isn't for me" by its address.
func (p webPage) reportTarget() string {
	for n := range p.elements(atom.A, atom.Form) {
		ref := attr(n, "href") + attr(n, "action")
		flat := strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(ref))
		if strings.Contains(flat, "notme") || strings.Contains(flat, "notforme") || strings.Contains(flat, "report") {
			if target, err := absolute(p.at, ref); err == nil {
				return target
			}
		}
	}
	return ""
}

func (p webPage) elements(kinds ...atom.Atom) func(func(*html.Node) bool) {
	return func(yield func(*html.Node) bool) {
		if p.root == nil {
			return
		}
		for n := range p.root.Descendants() {
			for _, k := range kinds {
				if n.Type == html.ElementNode && n.DataAtom == k && !yield(n) {
					return
				}
			}
		}
	}
}

// fieldsOf are the values a browser would send with the form's first button.
func fieldsOf(n *html.Node) url.Values {
	out := url.Values{}
	button := false
	for c := range n.Descendants() {
		name := attr(c, "name")
		if c.Type != html.ElementNode || name == "" {
			continue
		}
		kind := strings.ToLower(attr(c, "type"))
		switch {
		case c.DataAtom == atom.Button && !button, c.DataAtom == atom.Input && kind == "submit" && !button:
			button = true
			out.Set(name, attr(c, "value"))
		case c.DataAtom != atom.Input:
		case kind == "radio":
			if has(c, "checked") || !out.Has(name) {
				out.Set(name, attr(c, "value"))
			}
		case kind == "checkbox":
			if has(c, "checked") {
				out.Add(name, attr(c, "value"))
			}
		default:
			out.Add(name, attr(c, "value"))
		}
	}
	return out
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}
