package console

import (
	"strings"
	"testing"
)

// A project's own templates may write markup in any way that browsers take.
func TestNothingInALifelessDocumentLeadsAnywhere(t *testing.T) {
	t.Parallel()
	got := stripNavigation(`<!doctype html><html><head><meta charset=utf-8><META HTTP-EQUIV=refresh content="0;url=https://evil.example/1"><base href="https://evil.example/2">` +
		`<link rel=stylesheet href=https://evil.example/3><style nonce="n">a{color:red}/* </x> */</style><script nonce=n>location="https://evil.example/4"</script></head><body>` +
		`<A HREF=https://evil.example/5 class=button target=_blank ping=https://evil.example/6>go &amp; see</A><form action='https://evil.example/7' method=post data-busy>` +
		`<button formaction="https://evil.example/8" type="submit">press</button><input type=submit formaction=https://evil.example/9></form>` +
		`<!--[if mso]><p>as it was</p><![endif]--><p title="a &quot; b">a &lt; b</p></body></html>`)
	if i := strings.Index(got, "evil.example"); i >= 0 {
		t.Errorf("leads to %s", got[i:min(i+14, len(got))])
	}
	for _, want := range []string{
		"<!doctype html>", "<meta charset=utf-8>", `<style nonce="n">a{color:red}/* </x> */</style>`, `<a class="button" role="link" aria-disabled="true">go &amp; see</a>`,
		`<form method="post" data-busy="">`, `<button type="submit">press</button>`, `<!--[if mso]><p>as it was</p><![endif]-->`, `<p title="a &quot; b">a &lt; b</p>`,
	} {
		if !strings.Contains(strings.ReplaceAll(got, "</A>", "</a>"), want) {
			t.Errorf("lacks %s in %s", want, got)
		}
	}
}
