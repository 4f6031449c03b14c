package page_test

import (
	"fmt"
	"image"
	"image/draw"
	"strings"
	"testing"

	qr "github.com/piglig/go-qr"

	"github.com/connectlink/connectlink/internal/page"
)

// TestQRIsTheCodeOfThePage draws the path and reads the picture as a scanner does.
func TestQRIsTheCodeOfThePage(t *testing.T) {
	t.Parallel()
	d := sample(t)
	d.PageURL = pageURL
	var path, box string
	for n := range parse(t, render(t, newPages(t), page.Ready, d)).Descendants() {
		if n.Data == "svg" && attr(n, "class") == "qr" {
			box, path = attr(n, "viewBox"), attr(n.FirstChild, "d")
		}
	}
	var size int
	if _, err := fmt.Sscanf(box, "0 0 %d %d", &size, &size); err != nil {
		t.Fatalf("drawn on %q", box)
	}
	const scale = 4
	drawn := image.NewGray(image.Rect(0, 0, size*scale, size*scale))
	draw.Draw(drawn, drawn.Bounds(), image.White, image.Point{}, draw.Src)
	for _, run := range strings.Split(strings.TrimPrefix(path, "M"), "M") {
		var x, y, n, back int
		if _, err := fmt.Sscanf(run, "%d %dh%dv1h-%dz", &x, &y, &n, &back); err != nil || n != back {
			t.Fatalf("run %q: %v", run, err)
		}
		if x < 4 || y < 4 || x+n > size-4 || y >= size-4 {
			t.Errorf("run %q stands in the quiet zone", run)
		}
		draw.Draw(drawn, image.Rect(x*scale, y*scale, (x+n)*scale, (y+1)*scale), image.Black, image.Point{}, draw.Src)
	}
	read, err := qr.Decode(drawn)
	if err != nil || read != pageURL {
		t.Errorf("the code reads %q, %v", read, err)
	}
}

func TestAndroidIsAskedToOpenOnlyOurPage(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	for address, want := range map[string]string{
		pageURL:                     "intent://go.acme.example" + codePath + "#Intent;scheme=https;action=android.intent.action.VIEW;category=android.intent.category.BROWSABLE;S.browser_fallback_url=https%3A%2F%2Fgo.acme.example%2Fc%2Fx7Kp2mQ9rT4vW8sZ%3Fstay%3D1;end",
		"http://10.0.2.2:8080/c/x":  "intent://10.0.2.2:8080/c/x#Intent;scheme=http;action=android.intent.action.VIEW;category=android.intent.category.BROWSABLE;S.browser_fallback_url=http%3A%2F%2F10.0.2.2%3A8080%2Fc%2Fx%3Fstay%3D1;end",
		"":                          "",
		"javascript:alert(1)":       "",
		"https://a;package=evil/c":  "",
		"https://a.example/c?x=;b":  "",
		"https://a.example/c#x;end": "",
	} {
		d := sample(t)
		d.PageURL, d.InApp = address, page.InAppBrowser{Name: "Instagram", Android: true}
		src := render(t, p, page.InApp, d)
		got := ""
		for n := range parse(t, src).Descendants() {
			if n.Data == "a" && attr(n, "class") == "button" {
				got = attr(n, "href")
			}
		}
		if got != want {
			t.Errorf("%q:\n got  %s\n want %s", address, got, want)
		}
		if !strings.Contains(src, `href="`+codePath+`?stay=1"`) {
			t.Errorf("%q: no way through", address)
		}
	}
}
