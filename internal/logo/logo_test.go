package logo_test

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/logo"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/waittest"
)

// picture is a square of a colour.
func picture(side int, c color.Color) image.Image {
	img := image.NewPaletted(image.Rect(0, 0, side, side), color.Palette{c})
	return img
}

func encode(t *testing.T, what string, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	var err error
	switch what {
	case "png":
		err = png.Encode(&b, img)
	case "jpeg":
		err = jpeg.Encode(&b, img, nil)
	case "gif":
		err = gif.Encode(&b, img, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// catalogue is a host of pictures, by path; it counts requests.
type catalogue struct {
	*httptest.Server
	files map[string][]byte
	asked atomic.Int32
}

func newCatalogue(t *testing.T) *catalogue {
	t.Helper()
	c := &catalogue{files: map[string][]byte{}}
	c.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.asked.Add(1)
		switch raw, ok := c.files[r.URL.Path]; {
		case r.URL.Path == "/moved":
			http.Redirect(w, r, "/png", http.StatusFound)
		case !ok:
			http.NotFound(w, r)
		default:
			w.Header().Set("Content-Type", "text/html") // what the other side calls it does not count
			_, _ = w.Write(raw)
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// run starts Logos that may fetch from the catalogue.
func run(t *testing.T, db *pgxpool.Pool, p logo.Params) *logo.Logos {
	t.Helper()
	p.DB = db
	l := logo.New(p)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = l.Run(t.Context())
	}()
	t.Cleanup(func() { <-ended })
	return l
}

// source is an address of the catalogue on a host that its certificate is of, and that
// the client of the tests leads to it.
func source(path string) string { return "https://example.com" + path }

func TestALogoIsFetchedOnceAndDrawnAgain(t *testing.T) {
	t.Parallel()
	db, c := postgrestest.Pool(t), newCatalogue(t)
	red := color.NRGBA{R: 200, A: 255}
	c.files["/png"], c.files["/jpeg"], c.files["/gif"] = encode(t, "png", picture(300, red)), encode(t, "jpeg", picture(300, red)), encode(t, "gif", picture(40, red))
	hosts := []string{"example.com"}
	l := run(t, db, logo.Params{Hosts: hosts, HTTP: c.leads()})
	for path, side := range map[string]int{"/png": 112, "/jpeg": 112, "/gif": 40} {
		for range 3 {
			l.Want(source(path))
		}
		waittest.Until(t, "the logo is there", func() bool { return l.PathOf(source(path)) != "" })
		shown := l.PathOf(source(path))
		raw, mediaType, err := l.Get(t.Context(), strings.TrimPrefix(shown, logo.Path))
		if err != nil || mediaType != "image/png" {
			t.Fatalf("%s: %s, %v", path, mediaType, err)
		}
		img, err := png.Decode(bytes.NewReader(raw))
		if err != nil || img.Bounds().Dx() != side || img.Bounds().Dy() != side {
			t.Fatalf("%s: a picture of %v, %v", path, img.Bounds(), err)
		}
		if r, g, _, a := img.At(side/2, side/2).RGBA(); r>>8 < 190 || g>>8 > 10 || a>>8 != 255 {
			t.Errorf("%s: the picture has another colour", path)
		}
	}
	// Another process has them too, and sends no request.
	other := run(t, db, logo.Params{Hosts: hosts, HTTP: c.leads()})
	waittest.Until(t, "another process shows it", func() bool { return other.PathOf(source("/png")) == l.PathOf(source("/png")) })
	other.Want(source("/png"))
	// The queue is taken in order: once the next is there, the first was looked at.
	c.files["/next"] = c.files["/gif"]
	other.Want(source("/next"))
	waittest.Until(t, "the next is there", func() bool { return other.PathOf(source("/next")) != "" })
	if n := c.asked.Load(); n != 4 {
		t.Errorf("the catalogue was asked %d times for 4 pictures", n)
	}
	digest := strings.TrimSuffix(strings.TrimPrefix(l.PathOf(source("/png")), logo.Path), ".png")
	for _, name := range []string{strings.Repeat("0", 32) + ".png", digest, digest + ".svg", digest + ".png.png", ""} {
		if _, _, err := l.Get(t.Context(), name); !errors.Is(err, logo.ErrNotFound) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestWhatIsNoPictureIsNotShown: the pages show the initial instead, and the address is
// not asked again for an hour.
func TestWhatIsNoPictureIsNotShown(t *testing.T) {
	t.Parallel()
	db, c := postgrestest.Pool(t), newCatalogue(t)
	grey := color.NRGBA{R: 9, G: 9, B: 9, A: 255}
	c.files["/svg"] = []byte(`<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`)
	c.files["/html"] = []byte("<!doctype html><script>alert(1)</script>")
	c.files["/wide"] = encode(t, "png", picture(2049, grey)) // a small file
	c.files["/heavy"] = append(encode(t, "png", picture(20, grey)), make([]byte, 512<<10)...)
	c.files["/cut"] = encode(t, "png", picture(20, grey))[:40]
	c.files["/good"] = encode(t, "png", picture(20, grey))
	c.files["/png"] = c.files["/good"]
	l := run(t, db, logo.Params{Hosts: []string{"example.com"}, HTTP: c.leads()})
	bad := []string{"/svg", "/html", "/wide", "/heavy", "/cut", "/gone", "/moved"}
	for range 2 {
		for _, path := range bad {
			l.Want(source(path))
		}
	}
	l.Want(source("/good")) // the last in the queue
	waittest.Until(t, "the good one is there", func() bool { return l.PathOf(source("/good")) != "" })
	for _, path := range bad {
		if shown := l.PathOf(source(path)); shown != "" {
			t.Errorf("%s is shown", path)
		}
	}
	if n := int(c.asked.Load()); n != len(bad)+1 {
		t.Errorf("the catalogue was asked %d times for %d addresses", n, len(bad)+1)
	}
}

// TestOnlyAllowedAddressesAreAsked: neither other hosts nor other schemes, and no private
// address that an allowed name resolves to.
func TestOnlyAllowedAddressesAreAsked(t *testing.T) {
	t.Parallel()
	db, c := postgrestest.Pool(t), newCatalogue(t)
	c.files["/png"] = encode(t, "png", picture(20, color.White))
	l := run(t, db, logo.Params{Hosts: []string{"example.com", ".example.net"}, HTTP: c.leads()})
	for _, address := range []string{
		"http://example.com/png", "https://example.org/png", "https://example.com.evil.example/png", "https://user:word@example.com/png",
		"https://example.com:8443/png", "https://127.0.0.1/png", "https://example.net/png", "https://evilexample.net/png", "file:///etc/passwd", "", "https://example.com/" + strings.Repeat("a", 1000),
	} {
		l.Want(address)
	}
	l.Want("https://cdn.example.net/png")
	waittest.Until(t, "an allowed one is there", func() bool { return l.PathOf("https://cdn.example.net/png") != "" })
	if n := c.asked.Load(); n != 1 {
		t.Errorf("%d addresses were asked, want 1", n)
	}

	// The client that is used in earnest: the host is allowed and resolves to loopback.
	var said notes
	guarded := run(t, db, logo.Params{Hosts: []string{"localhost"}, Log: slog.New(slog.NewTextHandler(&said, nil))})
	guarded.Want("https://localhost/png")
	waittest.Until(t, "the private address was tried", func() bool { return said.String() != "" })
	if !strings.Contains(said.String(), "not a public one") {
		t.Errorf("not refused for being private: %s", said.String())
	}

	// Test mode's own catalogue is asked on this machine.
	own := run(t, db, logo.Params{Standin: logo.Standin{Prefix: "http://127.0.0.1:1/assets/", Base: plain(t, c.files["/png"])}})
	own.Want("http://127.0.0.1:1/assets/app/logo")
	waittest.Until(t, "the stand-in's logo is there", func() bool { return own.PathOf("http://127.0.0.1:1/assets/app/logo") != "" })
}

// notes is a log that can be read while it is written.
type notes struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (n *notes) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.b.Write(p)
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.b.String()
}

// leads is a client that takes every host for the catalogue.
func (c *catalogue) leads() *http.Client {
	client := c.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	inner := client.Transport
	client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.URL.Host = strings.TrimPrefix(c.URL, "https://")
		return inner.RoundTrip(r)
	})
	return client
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// plain serves one picture without TLS, and returns its base.
func plain(t *testing.T, raw []byte) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(raw) }))
	t.Cleanup(s.Close)
	return s.URL + "/"
}
