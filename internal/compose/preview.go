package compose

import (
	"strings"

	"github.com/connectlink/connectlink/internal/pipedream"
	"github.com/connectlink/connectlink/internal/secret"
)

// PreviewCode is the code of links in previews. It is as long as a code: the
// wording of a text message depends on the length of its link, and segments are
// counted with it. A dash cannot stand in a code, so it opens nothing.
const PreviewCode = "preview-00000000000000"

// SampleCode is the code of links in messages that staff send to themselves. It is as
// long as a code, and its dash cannot stand in one, so it belongs to no invite; package
// linkpage shows a page of its own for it.
const SampleCode = "sample-000000000000000"

// PreviewReference stands for an invite's reference. It is as long as one.
const PreviewReference = "0000-0000"

// PreviewToken stands for a Connect token in previews. It is as long as one.
const PreviewToken = "ctok_00000000000000000000000000000000"

// PreviewLink is a Connect link as long as a real one, which opens nothing.
func PreviewLink(app pipedream.Completion) secret.Text {
	link := secret.New("https://pipedream.com/_static/connect.html?token=" + PreviewToken + "&connectLink=true")
	if full, err := pipedream.Complete(link, app); err == nil {
		return full
	}
	return link
}

// Hide puts a mark in place of the code and the token in a rendered preview.
func Hide(text, mark string) string {
	return strings.NewReplacer(PreviewCode, mark, PreviewToken, mark).Replace(text)
}
