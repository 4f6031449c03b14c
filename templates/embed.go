// Package templates carries every text that recipients read, as files that
// are compiled into the binary: layout/ holds what all languages share, and
// each language has a folder named by its tag (en, later es fr de ar).
//
// A language folder is complete: words.txt, email/, sms/ and pages/. A folder
// with a region (en-US) holds only what differs; the rest comes from its
// language. An unknown language falls back to en.
//
// It owns wording and markup only. Parsing, escaping and choosing a language
// belong to packages message and linkpage/view.
package templates

import "embed"

// FS holds layout/ and one folder for each language.
//
//go:embed layout en en-US
var FS embed.FS
