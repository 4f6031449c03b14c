package export

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Format is the format of a file.
type Format string

// The formats.
const (
	CSV       Format = "csv"   // RFC 4180, UTF-8, with a header
	JSONLines Format = "jsonl" // an object a line: rows, then one that ends the file
)

// Formats lists every Format.
func Formats() []Format { return []Format{CSV, JSONLines} }

// Type returns the format's media type.
func (f Format) Type() string {
	if f == CSV {
		return "text/csv; charset=utf-8"
	}
	return "application/jsonl; charset=utf-8"
}

// Row is an invite in a file. Statuses and reasons are the words of the API, times
// are RFC 3339 in UTC; an empty value is one that the invite does not have.
type Row struct {
	ID, Reference, CreatedAt         string
	Status, Progress, DeliveryStatus string
	Reason                           string
	App, Channel                     string
	Recipient, ExternalUserID        string // masked
	Inviter                          string // masked
	OpenedAt, ConnectedAt            string
	Owner                            string   // the name of the colleague who is on it
	Extra                            []string // by the list's columns
}

type cell struct{ name, value string }

// cells are the columns of a file, in their order; extra names those of the list.
func (r Row) cells(extra []string) []cell {
	cells := []cell{
		{"id", r.ID}, {"reference", r.Reference}, {"created_at", r.CreatedAt},
		{"status", r.Status}, {"progress", r.Progress}, {"delivery_status", r.DeliveryStatus}, {"reason", r.Reason},
		{"app", r.App}, {"channel", r.Channel},
		{"recipient", r.Recipient}, {"external_user_id", r.ExternalUserID}, {"inviter", r.Inviter},
		{"opened_at", r.OpenedAt}, {"connected_at", r.ConnectedAt}, {"owner", r.Owner},
	}
	for i, name := range extra {
		c := cell{name: name}
		if i < len(r.Extra) {
			c.value = r.Extra[i]
		}
		cells = append(cells, c)
	}
	return cells
}

// writer encodes a file; take returns the bytes that were added since the last call.
type writer struct {
	format Format
	extra  []string // names of the list's columns
	buf    bytes.Buffer
	csv    *csv.Writer
	err    error
}

func newWriter(f Format, extra []string) *writer {
	w := &writer{format: f, extra: extra}
	if f == CSV {
		w.csv = csv.NewWriter(&w.buf)
		w.csv.UseCRLF = true
		var names []string
		for _, c := range (Row{}).cells(extra) {
			names = append(names, c.name)
		}
		w.write(names)
	}
	return w
}

func (w *writer) write(cells []string) {
	if err := w.csv.Write(cells); w.err == nil {
		w.err = err
	}
}

func (w *writer) take() ([]byte, error) {
	if w.csv != nil {
		w.csv.Flush()
	}
	part := bytes.Clone(w.buf.Bytes())
	w.buf.Reset()
	return part, w.err
}

func (w *writer) add(r Row) {
	cells := r.cells(w.extra)
	if w.csv != nil {
		values := make([]string, 0, len(cells))
		for _, c := range cells {
			values = append(values, neutralize(c.value))
		}
		w.write(values)
		return
	}
	w.buf.WriteString(`{"object":"invite"`)
	for _, c := range cells {
		w.buf.WriteString(`,"` + c.name + `":`)
		if c.value == "" {
			w.buf.WriteString("null")
			continue
		}
		text, err := json.Marshal(c.value)
		if w.err == nil {
			w.err = err
		}
		w.buf.Write(text)
	}
	w.buf.WriteString("}\n")
}

// finish ends a file: JSON lines always with an object that tells whether the list is
// complete, CSV with a line only where it is not.
func (w *writer) finish(rows int, end End, oldest string) {
	if w.csv == nil {
		line, err := json.Marshal(struct {
			Object   string `json:"object"`
			Rows     int    `json:"rows"`
			Complete bool   `json:"complete"`
			End      End    `json:"end"`
		}{"export", rows, end == EndComplete, end})
		if w.err == nil {
			w.err = err
		}
		w.buf.Write(append(line, '\n'))
		return
	}
	if end == EndComplete {
		return
	}
	last := make([]string, len((Row{}).cells(w.extra)))
	last[0] = fmt.Sprintf("# Not the whole list (%s): the file ends after %s rows.", end, strconv.Itoa(rows))
	if end != EndSearchLimit && oldest != "" {
		last[0] += " Export older invites with the filter \"Created until\", from the day of " + oldest + "."
	}
	w.write(last)
}

// neutralize keeps a program for tables from taking a cell for a formula: the value
// gets an apostrophe before it, which the program shows as text.
// https://owasp.org/www-community/attacks/CSV_Injection
func neutralize(value string) string {
	if value == "" {
		return ""
	}
	first, _ := utf8.DecodeRuneInString(strings.TrimLeftFunc(value, func(r rune) bool { return r == ' ' || unicode.Is(unicode.Cf, r) }))
	if strings.ContainsRune("=+-@\t\r\n＝＋－＠", first) {
		return "'" + value
	}
	return value
}
