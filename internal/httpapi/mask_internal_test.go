package httpapi

import (
	"strings"
	"testing"
)

func TestTheDigitsOfAMessageAreMasked(t *testing.T) {
	t.Parallel()
	text, html := maskDigits("Enter\n\n012345\n\nby 2026-11-23. +12025550100\n@go.example.com #012345",
		`<p style="color:#111317">Enter</p><p class="x"> 012345 </p>`)
	if strings.Contains(text+html, "012345") || !strings.Contains(text, "2026-11-23") || !strings.Contains(text, "+12025550100") || !strings.Contains(html, "#111317") {
		t.Errorf("%q %q", text, html)
	}
}
