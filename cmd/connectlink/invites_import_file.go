package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/connectlink/connectlink/internal/contact"
)

// maxImport bounds the size of a file, which is read as a whole.
const maxImport = 64 << 20

// rowFault is a fault of a row, or of the header. Details repeat no cell: cells are
// personal data.
type rowFault struct {
	row    int    // the line on which the row begins
	Line   int    `json:"line"`
	Column string `json:"column,omitempty"`
	Detail string `json:"detail"`
}

func (f rowFault) String() string {
	if f.Column == "" {
		return fmt.Sprintf("line %d: %s", f.Line, printable(f.Detail))
	}
	return fmt.Sprintf("line %d, column %s: %s", f.Line, printable(f.Column), printable(f.Detail))
}

// importRow is an invite of a file.
type importRow struct {
	line int
	body fields
}

// importSheet is a file that was read.
type importSheet struct {
	columns  []importColumn
	rows     []importRow
	faults   []rowFault
	warnings []rowFault
}

// addFault adds a fault at a line of a row; a quoted cell may begin below its row.
func (s *importSheet) addFault(row, line int, column, format string, args ...any) {
	s.faults = append(s.faults, rowFault{row, line, column, fmt.Sprintf(format, args...)})
}

// importColumn is a column: its name in the header, and the field of a create that it
// fills. The path of an unknown column is empty.
type importColumn struct {
	name     string
	path     []string
	isNumber bool
}

// pointer is the JSON pointer of the column's field, as problems name it.
func (c importColumn) pointer() string {
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	var b strings.Builder
	for _, name := range c.path {
		b.WriteString("/" + escape.Replace(name))
	}
	return b.String()
}

// fill puts a cell into a create.
func (c importColumn) fill(body fields, value any) {
	for _, name := range c.path[:len(c.path)-1] {
		inner, ok := body[name].(fields)
		if !ok {
			inner = fields{}
			body[name] = inner
		}
		body = inner
	}
	body[c.path[len(c.path)-1]] = value
}

// requiredColumns are filled in every row, by a column or by a flag.
func requiredColumns() []string { return []string{"external_user_id", "app", "channel"} }

// columnNames are those of the API's fields, besides metadata.KEY. The fields of the
// recipient need no prefix.
func columnNames() []string {
	return append(requiredColumns(),
		"email", "phone", "name", "locale", "time_zone", "sms_consent.source", "sms_consent.obtained_at", "inviter.name",
		"kind", "account_id", "oauth_app_id", "reason", "note", "initiated_by", "return_url", "fallback.channel", "fallback.after", "fallback.delay_s",
		"reminders.count", "link_type", "expires_in", "valid_for", "send_at", "verify", "if_active", "if_connected")
}

func parseColumn(name string) importColumn {
	name = strings.TrimSpace(name)
	if key, ok := strings.CutPrefix(name, "metadata."); ok && key != "" {
		return importColumn{name: name, path: []string{"metadata", key}}
	}
	plain := strings.TrimPrefix(name, "recipient.")
	if !slices.Contains(columnNames(), plain) {
		return importColumn{name: name}
	}
	path := strings.Split(plain, ".")
	if slices.Contains([]string{"email", "phone", "name", "locale", "time_zone", "sms_consent"}, path[0]) {
		path = append([]string{"recipient"}, path...)
	} else if plain != name {
		return importColumn{name: name}
	}
	return importColumn{name, path, slices.Contains([]string{"fallback.delay_s", "reminders.count", "expires_in", "valid_for"}, plain)}
}

// readImportFile reads a file as text. Errors say how to save it.
func readImportFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, usageError("%v", err)
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, maxImport+1))
	switch {
	case err != nil:
		return nil, usageError("%v", err)
	case len(raw) > maxImport:
		return nil, usageError("the file is larger than %d MB: import it in parts", maxImport>>20)
	case bytes.HasPrefix(raw, []byte{0xFF, 0xFE}), bytes.HasPrefix(raw, []byte{0xFE, 0xFF}):
		return nil, usageError("the file is UTF-16: save it as \"CSV UTF-8\"")
	}
	raw = bytes.TrimPrefix(raw, []byte{0xEF, 0xBB, 0xBF})
	if i := firstBadByte(raw); i >= 0 {
		line := bytes.Count(raw[:i], []byte("\n")) + 1
		return nil, usageError("line %d, byte %d: the file is not UTF-8 text: save it as \"CSV UTF-8\"", line, i-bytes.LastIndexByte(raw[:i], '\n'))
	}
	return raw, nil
}

// firstBadByte returns the index of the first byte that is NUL or no UTF-8; -1 for none.
func firstBadByte(raw []byte) int {
	for i := 0; i < len(raw); {
		r, size := utf8.DecodeRune(raw[i:])
		if r == 0 || r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// detectSeparator returns the separator with which the header has the most known columns.
func detectSeparator(raw []byte) rune {
	best, most := ',', 0
	for _, separator := range ",;\t" {
		header, err := newCSVReader(raw, separator).Read()
		if err != nil {
			continue
		}
		known := 0
		for _, name := range header {
			if parseColumn(name).path != nil {
				known++
			}
		}
		if known > most {
			best, most = separator, known
		}
	}
	return best
}

func newCSVReader(raw []byte, separator rune) *csv.Reader {
	r := csv.NewReader(bytes.NewReader(raw))
	r.Comma, r.FieldsPerRecord = separator, -1
	return r
}

// parseImport reads the rows of a file. defaults fill fields that have no column, or an
// empty cell. The error is a fault of the header, which leaves no row to read.
func parseImport(raw []byte, defaults fields, allowFormulas bool) (*importSheet, error) {
	r := newCSVReader(raw, detectSeparator(raw))
	header, err := r.Read()
	if err != nil {
		return nil, usageError("line 1: the file has no header: name the columns %s", strings.Join(columnNames(), ", "))
	}
	s := &importSheet{}
	if faults := s.readHeader(header, defaults); len(faults) > 0 {
		return nil, usageError("line 1: %s", strings.Join(faults, "\n  line 1: "))
	}
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var broken *csv.ParseError
		if errors.As(err, &broken) {
			s.addFault(broken.StartLine, broken.StartLine, "", "a quotation mark at line %d, byte %d is not closed, or not doubled within a quoted cell", broken.Line, broken.Column)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the file: %w", err)
		}
		s.addRow(r, record, defaults, allowFormulas)
	}
	s.findDuplicates()
	if len(s.rows) == 0 && len(s.faults) == 0 {
		return nil, usageError("the file has no row below its header")
	}
	return s, nil
}

func (s *importSheet) readHeader(header []string, defaults fields) []string {
	var faults []string
	have := map[string]bool{}
	for i, name := range header {
		c := parseColumn(name)
		s.columns = append(s.columns, c)
		pointer := c.pointer()
		switch {
		case c.name == "":
			faults = append(faults, fmt.Sprintf("column %d has no name", i+1))
		case c.path == nil:
			faults = append(faults, fmt.Sprintf("there is no column %q%s", printable(c.name), suggestColumn(c.name)))
		case have[pointer]:
			faults = append(faults, fmt.Sprintf("two columns are %q", printable(c.name)))
		}
		have[pointer] = true
	}
	for _, name := range requiredColumns() {
		if _, ok := defaults[name]; !ok && !have["/"+name] {
			faults = append(faults, fmt.Sprintf("the column %q is missing", name))
		}
	}
	return faults
}

// suggestColumn ends a fault with the column that was probably meant.
func suggestColumn(name string) string {
	for _, known := range columnNames() {
		if contact.Distance(strings.ToLower(strings.ReplaceAll(name, " ", "_")), known) <= 2 {
			return fmt.Sprintf("; did you mean %q?", known)
		}
	}
	return "; your own data is named metadata.KEY"
}

// phoneCell matches cells that begin with + and hold a telephone number or a number.
var phoneCell = regexp.MustCompile(`^[+-][0-9][0-9 ()./-]*$`)

// isFormula reports whether a spreadsheet that opens the cell would run it.
func isFormula(cell string) bool {
	return strings.ContainsAny(cell[:1], "=+-@\t\r") && !phoneCell.MatchString(cell)
}

func (s *importSheet) addRow(r *csv.Reader, record []string, defaults fields, allowFormulas bool) {
	line, _ := r.FieldPos(0)
	if !slices.ContainsFunc(record, func(cell string) bool { return strings.TrimSpace(cell) != "" }) {
		return
	}
	if len(record) != len(s.columns) {
		s.addFault(line, line, "", "has %d cells, the header has %d", len(record), len(s.columns))
		return
	}
	body := fields{}
	for name, value := range defaults {
		body[name] = value
	}
	for i, cell := range record {
		c := s.columns[i]
		at, _ := r.FieldPos(i)
		if strings.TrimSpace(cell) == "" {
			continue
		}
		if !allowFormulas && isFormula(cell) {
			s.addFault(line, at, c.name, "begins like a formula (=, +, -, @, tab): correct the cell, or add --allow-formulas if the text is meant so")
		}
		if !c.isNumber {
			c.fill(body, cell)
			continue
		}
		n, err := strconv.Atoi(strings.TrimSpace(cell))
		if err != nil {
			s.addFault(line, at, c.name, "must be a whole number")
			continue
		}
		c.fill(body, n)
	}
	s.rows = append(s.rows, importRow{line, body})
}

// findDuplicates names rows that would send the same person a second invite for the
// same app. Two recipients for one user and app are allowed, and named.
func (s *importSheet) findDuplicates() {
	people, users := map[string]int{}, map[string]int{}
	for _, row := range s.rows {
		if row.body["external_user_id"] == nil {
			continue
		}
		recipient, _ := row.body["recipient"].(fields)
		user := encodeKey(row.body["external_user_id"], row.body["app"])
		person := encodeKey(user, recipient["email"], recipient["phone"])
		if first, ok := people[person]; ok {
			s.addFault(row.line, row.line, "external_user_id", "the same user, app and recipient as in line %d", first)
		} else if first, ok := users[user]; ok {
			s.warnings = append(s.warnings, rowFault{row.line, row.line, "external_user_id", fmt.Sprintf("the same user and app as in line %d, with another recipient", first)})
		}
		if _, ok := people[person]; !ok {
			people[person] = row.line
		}
		if _, ok := users[user]; !ok {
			users[user] = row.line
		}
	}
}

// encodeKey joins values so that different values give different texts.
func encodeKey(values ...any) string {
	raw, _ := json.Marshal(values) // of texts and nulls: it cannot fail
	return string(raw)
}

// sortFaults orders faults by line, and leaves those of one line in their order.
func (s *importSheet) sortFaults() {
	slices.SortStableFunc(s.faults, func(a, b rowFault) int { return a.Line - b.Line })
}

// goodRows are the rows without a fault.
func (s *importSheet) goodRows() []importRow {
	bad := map[int]bool{}
	for _, f := range s.faults {
		bad[f.row] = true
	}
	var good []importRow
	for _, row := range s.rows {
		if !bad[row.line] {
			good = append(good, row)
		}
	}
	return good
}

// itemKey is the idempotency key of a row. It follows from the row's values and the
// import, not from the row's place: an interrupted import can be run again, also after
// other rows were corrected, added or sorted.
func (row importRow) itemKey(importID string) string {
	sum := sha256.Sum256([]byte(encodeKey(importID, row.body)))
	return "import-" + hex.EncodeToString(sum[:16])
}
