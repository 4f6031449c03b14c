package web_test

import (
	"io"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
)

// TestF22UnreadableTextNeverReachesAHandler: a program is told of its mistake, a
// person's page opens with the bytes repaired.
func TestF22UnreadableTextNeverReachesAHandler(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	show := func(c echo.Context) error {
		return c.String(200, c.Param("x")+"|"+c.QueryParam("q")+"|"+c.Request().Header.Get("X-City"))
	}
	s.GET("/v1/a/:x", show)
	s.GET("/p/:x", show)
	for _, c := range []struct {
		path, city string
		status     int
		want       string
	}{
		{"/v1/a/b?q=c", "Köln", 200, "b|c|Köln"},
		{"/v1/a/b?q=%00", "", 400, "/q"},
		{"/v1/a/b?q=%ff&r=%c3", "", 400, "/r"},
		{"/v1/a/b?%ed%a0%80=1", "", 400, "malformed_body"},
		{"/v1/a/b?q=%e4%bd%a0", "", 200, "b|你|"},
		{"/v1/a/%ff?q=c", "", 400, "malformed_body"},
		{"/v1/a/b?q=c", "S\xe3o Paulo", 200, "b|c|S\uFFFDo Paulo"},
		{"/p/b?q=%00c", "", 200, "b|\uFFFDc|"},
		{"/p/b?q=%e9t%e9&utm=50%", "", 200, "b|\uFFFDt\uFFFD|"},
		{"/p/%FFb?q=c", "", 200, "\uFFFDb|c|"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		u, err := url.Parse(c.path)
		if err != nil {
			t.Fatal(err)
		}
		r.URL = u
		r.Header.Set("X-City", c.city)
		if w := s.do(r); w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s: %d %s", c.path, w.Code, w.Body)
		}
	}
}

// TestF22AnUnreadableFormIsRefusedWhileItIsRead, however its bytes are cut.
func TestF22AnUnreadableFormIsRefusedWhileItIsRead(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.POST("/x", func(c echo.Context) error {
		b, err := io.ReadAll(c.Request().Body)
		if err != nil {
			return err
		}
		return c.String(200, string(b))
	})
	for body, want := range map[string]int{
		"a=b&c=%20%41+": 200, "a=%e2%82%ac": 200, "a=€": 200, "a=%zz&b=%4": 200, "": 200, "a%3d=%26": 200,
		"a=%00": 400, "a=\x00": 400, "%00=a": 400, "a=%ff": 400, "a=\xff": 400, "a=%e2%82&b=%ac": 400, "a=%e2%82": 400, "a=\xe2=\x82\xac": 400, "a=%C0%80": 400,
	} {
		for _, media := range []string{"application/x-www-form-urlencoded", "Application/X-WWW-Form-Urlencoded ; charset=utf-8"} {
			r := httptest.NewRequest("POST", "/x", oneByOne{strings.NewReader(body)})
			r.Header.Set("Content-Type", media)
			if w := s.do(r); w.Code != want || want == 200 && w.Body.String() != body {
				t.Errorf("%q: %d %s", body, w.Code, w.Body)
			}
		}
		r := httptest.NewRequest("POST", "/x", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/octet-stream")
		if w := s.do(r); w.Code != 200 {
			t.Errorf("%q is no form: %d", body, w.Code)
		}
	}
}

type oneByOne struct{ io.Reader }

func (o oneByOne) Read(p []byte) (int, error) { return o.Reader.Read(p[:min(1, len(p))]) }
