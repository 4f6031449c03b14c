// Package docs embeds the guides, so that the service shows them beside the API
// reference.
package docs

import "embed"

// FS holds the guides, in Markdown.
//
//go:embed *.md mobile/*.md runbooks/*.md
var FS embed.FS
