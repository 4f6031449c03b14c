package sandbox

import (
	"embed"
	"html/template"
	"net/http"
	"strings"
	"time"
)

//go:embed pages
var pageFiles embed.FS

// parsePages reads the templates; prefix is where Pages is mounted.
func parsePages(prefix string) (*template.Template, error) {
	return template.New("").Funcs(template.FuncMap{
		"prefix": func() string { return prefix },
		"stamp":  func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04:05 UTC") },
		"iso":    func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"lower":  strings.ToLower,
	}).ParseFS(pageFiles, "pages/*.html")
}

// Pages serves what people open, with its mount prefix stripped: the inbox and
// Pipedream's connect page. Nothing is loaded from elsewhere and nothing needs
// a script.
func (s *Sandbox) Pages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, s.public.Path+"/inbox", http.StatusSeeOther)
	})
	mux.HandleFunc("GET /style.css", s.serveStyle)
	mux.HandleFunc("GET /inbox", s.serveInbox)
	mux.HandleFunc("GET /inbox/{id}", s.serveInboxMessage)
	mux.HandleFunc("GET /inbox/{id}/html", s.serveInboxHTML)
	mux.HandleFunc("GET /connect.html", s.serveConnectPage)
	mux.HandleFunc("POST /connect.html", s.pressConnectPage)
	mux.Handle("GET /assets/", http.StripPrefix("/assets", http.HandlerFunc(s.serveLogo)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		// No form-action: browsers apply it to the redirect after the POST
		// too, and that goes wherever the token's maker said.
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-src 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Robots-Tag", "noindex")
		h.Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	})
}

func (s *Sandbox) serveStyle(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "max-age=300")
	http.ServeFileFS(w, r, pageFiles, "pages/style.css")
}

// render writes a page; data is complete by then, so a template's failure is
// one of the program.
func (s *Sandbox) render(w http.ResponseWriter, status int, name string, data any) {
	var b strings.Builder
	if err := s.pages.ExecuteTemplate(&b, name, data); err != nil {
		s.log.Error("sandbox page", "page", name, "err", err)
		http.Error(w, "The page could not be made.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(b.String()))
}

// pageFailed answers for a fault of our own.
func (s *Sandbox) pageFailed(w http.ResponseWriter, what string, err error) {
	s.log.Error("sandbox page", "page", what, "err", err)
	s.render(w, http.StatusInternalServerError, "notice", notice{
		Title: "Something went wrong", Text: "The sandbox could not read its own data. Its log says more.",
	})
}

// notice is a page that only says something.
type notice struct {
	Title, Text, Code string
	OK                bool
}
