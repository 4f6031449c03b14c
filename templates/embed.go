// Package templates carries every text that recipients read, as files that
// are compiled into the binary: layout/ holds what all languages share, and
// each language has a folder named by its tag (en es fr de ar).
//
// A language folder is complete: words.txt, email/, sms/ and pages/. A folder
// with a region (en-US) holds only what differs; the rest comes from its
// language. An unknown language falls back to en.
//
// The staff console is apart from that: console/ holds its pages, which are
// written in English with every text marked, and a catalogue for each other
// language (de/*.po, ar/*.po).
//
// It owns wording and markup only. Parsing, escaping and choosing a language
// belong to packages message, page and console/view.
//
// # How to add a language
//
// Copy the folder en to one named by the language's tag and translate every file.
// Nothing else names the languages: program and tests read the folders, and -update
// writes the golden files and the table in docs/operations.md. connectlink templates
// check and the tests of message and page report each missing file, unknown variable,
// missing plural form and text message that needs more segments. For the console,
// add a folder of catalogues to console/; a test reports each missing text.
package templates

import "embed"

// FS holds layout/ and one folder for each language: a code of two letters, alone
// or before a hyphen. (The patterns of Go know no "two or three".)
//
//go:embed layout [a-z][a-z] [a-z][a-z]-*
var FS embed.FS

// Console holds the staff console's folder.
//
//go:embed console
var Console embed.FS
