package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/mattn/go-isatty"
)

type invitesImportCommand struct {
	remote
	format
	File          string `arg:"" help:"The CSV file; UTF-8, with commas, semicolons or tabs between the cells." type:"path"`
	App           string `help:"The app for rows without one." placeholder:"SLUG"`
	Channel       string `help:"The channel for rows without one: email, sms or link." placeholder:"CHANNEL"`
	ImportID      string `name:"import-id" help:"Name of the import; the file's name by default. A row is sent once per import." placeholder:"ID"`
	SkipBadRows   bool   `help:"Send the rows without faults although others have some."`
	AllowFormulas bool   `help:"Accept cells that begin with =, +, - or @."`
	Results       string `help:"Write the result of each row to this file, as one line of JSON." placeholder:"FILE" type:"path"`
	Yes           bool   `help:"Send the invites after the dry run without asking."`
}

// Help is shown by invites import --help.
func (invitesImportCommand) Help() string {
	return "The header names the API's fields: " + strings.Join(columnNames(), ", ") + ", and metadata.KEY for your own data. " +
		"external_user_id, app and channel are required.\n\n" +
		"Every row is validated first, and nothing is sent before you confirm. Without a terminal and without --yes the command ends there. " +
		"Stopped at any time, it can be run again within 24 hours: rows that were sent are not sent twice, also after other rows were corrected. " +
		"To send the same rows on purpose, choose another --import-id."
}

// importReport is the command's result.
type importReport struct {
	Rows     int         `json:"rows"`
	Faults   []rowFault  `json:"faults"`
	Warnings []rowFault  `json:"warnings"`
	Sent     bool        `json:"sent"`
	Created  int         `json:"created"`
	Replayed int         `json:"replayed"` // sent by an earlier run of the same import
	Existing int         `json:"existing"` // answered with an invite or an account that was there, see if_active and if_connected
	Failed   []rowResult `json:"failed"`
}

// Run validates the file, asks, and sends.
func (c *invitesImportCommand) Run(e *env) error {
	sheet, err := c.readSheet()
	if err != nil {
		return err
	}
	if err := c.previewRows(e, sheet); err != nil {
		return err
	}
	sheet.sortFaults()
	rows := sheet.goodRows()
	report := importReport{
		Rows: len(sheet.rows), Faults: append([]rowFault{}, sheet.faults...), Warnings: append([]rowFault{}, sheet.warnings...), Failed: []rowResult{},
	}
	if !c.isJSON(e) {
		if err := printFaults(e, report); err != nil {
			return err
		}
	}
	if len(sheet.faults) > 0 && (!c.SkipBadRows || len(rows) == 0) {
		return errors.Join(c.printReport(e, report), usageError("%d faults; nothing was sent", len(sheet.faults)))
	}
	if !c.Yes && !isatty.IsTerminal(e.stdin.Fd()) {
		e.say("Dry run: nothing was sent. Add --yes to create %d invites.", len(rows))
		return c.printReport(e, report)
	}
	if !c.Yes {
		if err := c.confirm(e, fmt.Sprintf("Create %d invites and send them?", len(rows))); err != nil {
			return err
		}
	}
	err = c.sendRows(e, rows, &report)
	if err != nil {
		e.say("Stopped. Run the same command again within 24 hours to continue: no row is sent twice.")
	}
	if err := errors.Join(err, c.printReport(e, report)); err != nil {
		return err
	}
	if len(report.Failed) > 0 {
		return fmt.Errorf("%d of %d rows failed", len(report.Failed), len(rows))
	}
	return nil
}

func (c *invitesImportCommand) readSheet() (*importSheet, error) {
	raw, err := readImportFile(c.File)
	if err != nil {
		return nil, err
	}
	defaults := fields{}
	defaults.put("app", c.App)
	defaults.put("channel", c.Channel)
	return parseImport(raw, defaults, c.AllowFormulas)
}

// importID is the name of the import.
func (c *invitesImportCommand) importID() string {
	if c.ImportID != "" {
		return c.ImportID
	}
	return filepath.Base(c.File)
}

// previewAttempts bounds how often the preview of a row is asked for where no answer
// comes: an answer that is lost must not end an import of thousands of rows.
const previewAttempts = 3

// previewWorkers is the number of rows that are validated at the same time.
const previewWorkers = 4

// previewRows has the service validate each row, and adds its faults to the sheet.
func (c *invitesImportCommand) previewRows(e *env, sheet *importSheet) error {
	bar := newProgress(e, "Validated", len(sheet.rows))
	defer bar.clear()
	answers, failures := make([]answer, len(sheet.rows)), make([]error, len(sheet.rows))
	next := make(chan int)
	stop := make(chan struct{})
	var workers sync.WaitGroup
	var once sync.Once
	for range previewWorkers {
		workers.Go(func() {
			for i := range next {
				if answers[i], failures[i] = c.previewRow(e, sheet.rows[i]); failures[i] != nil {
					once.Do(func() { close(stop) })
					return
				}
				bar.add(1)
			}
		})
	}
	feedIndexes(next, stop, len(sheet.rows))
	workers.Wait()
	for _, err := range failures {
		if err != nil {
			return err
		}
	}
	for i, got := range answers {
		sheet.addProblem(sheet.rows[i], got)
	}
	return nil
}

// feedIndexes sends 0 to n-1, or fewer if stop is closed.
func feedIndexes(next chan<- int, stop <-chan struct{}, n int) {
	defer close(next)
	for i := range n {
		select {
		case next <- i:
		case <-stop:
			return
		}
	}
}

// previewRow returns the service's answer about a row. Problems that are not about the
// row are errors.
func (c *invitesImportCommand) previewRow(e *env, row importRow) (answer, error) {
	got, err := c.askPatiently(e, "/v1/invites/preview?language=none", row.body, previewAttempts)
	if err != nil {
		return answer{}, err
	}
	if got.status <= 299 || got.status == 400 || got.status == 422 {
		return got, nil
	}
	return answer{}, problemError(c.base(e), got.status, got.body)
}

// addProblem adds the faults that the service found in a row.
func (s *importSheet) addProblem(row importRow, got answer) {
	if got.status <= 299 {
		return
	}
	p := readProblem(got.body)
	for _, f := range p.Errors {
		detail := f.Detail
		if f.Suggestion != "" {
			detail += " (did you mean " + f.Suggestion + "?)"
		}
		s.addFault(row.line, row.line, s.columnOf(f.Pointer), "%s", detail)
	}
	if len(p.Errors) == 0 {
		s.addFault(row.line, row.line, "", "%s: %s", p.Code, p.Detail)
	}
}

// columnOf returns the name of the column that fills a field; without such a column,
// the field's name.
func (s *importSheet) columnOf(pointer string) string {
	for _, c := range s.columns {
		if c.pointer() == pointer {
			return c.name
		}
	}
	name := strings.ReplaceAll(strings.TrimPrefix(pointer, "/"), "/", ".")
	return strings.TrimPrefix(name, "recipient.")
}

func printFaults(e *env, report importReport) error {
	for _, f := range report.Faults {
		if _, err := fmt.Fprintln(e.stdout, f); err != nil {
			return err
		}
	}
	for _, f := range report.Warnings {
		if _, err := fmt.Fprintf(e.stdout, "warning: %s\n", f); err != nil {
			return err
		}
	}
	return nil
}

// printReport prints the report. As text, its faults were printed before the question.
func (c *invitesImportCommand) printReport(e *env, report importReport) error {
	if c.isJSON(e) {
		raw, err := json.Marshal(report)
		if err != nil {
			return fmt.Errorf("encode the report: %w", err)
		}
		return printPretty(e, c.base(e), raw)
	}
	for _, f := range report.Failed {
		if _, err := fmt.Fprintf(e.stdout, "line %d: %d %s: %s\n", f.Line, f.Status, f.Code, printable(f.Detail)); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(e.stdout, "%d rows, %d faults: %d created, %d created before, %d existing, %d failed\n",
		report.Rows, len(report.Faults), report.Created, report.Replayed, report.Existing, len(report.Failed))
	return err
}

// progress is a line on a terminal that counts rows. Elsewhere it prints nothing.
type progress struct {
	w      io.Writer // nil: no terminal
	verb   string
	n, all int
	mu     sync.Mutex
}

func newProgress(e *env, verb string, all int) *progress {
	p := &progress{verb: verb, all: all}
	if f, ok := e.stderr.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		p.w = f
	}
	return p
}

func (p *progress) add(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n += n
	if p.w != nil {
		_, _ = fmt.Fprintf(p.w, "\r%s %d of %d rows", p.verb, p.n, p.all)
	}
}

// clear removes the line.
func (p *progress) clear() {
	if p.w != nil {
		_, _ = fmt.Fprint(p.w, "\r\x1b[K")
	}
}
