package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/audit"
	"github.com/connectlink/connectlink/internal/store/account"
)

type auditCommand struct {
	Verify auditVerifyCommand `cmd:"" help:"Verify that no entry of the audit log was changed, removed or added past the program."`
	Export auditExportCommand `cmd:"" help:"Write the audit log as JSON lines, each with its hash."`
	Heads  auditHeadsCommand  `cmd:"" help:"List the head of the hash chain of each day, to keep elsewhere."`
}

// auditLog opens the audit log.
func (s settings) auditLog(e *env) (*pgxpool.Pool, *audit.Service, error) {
	_, pool, err := s.database(e)
	if err != nil {
		return nil, nil, err
	}
	log, err := audit.New(pool, newLogger(e, slog.LevelWarn))
	if err != nil {
		pool.Close()
		return nil, nil, err
	}
	return pool, log, nil
}

type auditVerifyCommand struct {
	settings
	File string   `help:"Verify an export instead of the database." placeholder:"FILE"`
	Head []string `help:"A head that was kept elsewhere, as printed by audit heads; the chain must contain it. Can be repeated." placeholder:"NUMBER:HASH"`
}

// Help is shown by audit verify --help.
func (auditVerifyCommand) Help() string {
	return "Exits with 1 if there are faults. A role that can write all tables could write the whole chain again: " +
		"only a head that was kept elsewhere shows that. `serve` logs the head of each day."
}

// Run verifies the log or an export.
func (c *auditVerifyCommand) Run(e *env) error {
	kept, err := parseHeads(c.Head)
	if err != nil {
		return err
	}
	report, err := c.verify(e, kept)
	if err != nil {
		return err
	}
	for _, fault := range report.Listed {
		_, _ = fmt.Fprintln(e.stdout, fault)
	}
	if n := report.Faults - int64(len(report.Listed)); n > 0 {
		_, _ = fmt.Fprintf(e.stdout, "and %d more\n", n)
	}
	_, err = fmt.Fprintf(e.stdout, "%d entries, %d not chained yet, %d faults; head %s\n", report.Entries, report.Pending, report.Faults, headText(report.Head))
	if report.Faults > 0 {
		return errors.Join(err, errors.New("the audit log has faults"))
	}
	return err
}

func (c *auditVerifyCommand) verify(e *env, kept []account.Head) (audit.Report, error) {
	if c.File != "" {
		f, err := os.Open(c.File)
		if err != nil {
			return audit.Report{}, usageError("--file: %v", err)
		}
		defer func() { _ = f.Close() }()
		return audit.VerifyExport(f, kept)
	}
	pool, log, err := c.auditLog(e)
	if err != nil {
		return audit.Report{}, err
	}
	defer pool.Close()
	return log.Verify(e.ctx, kept)
}

// headText is a head as parseHeads reads it.
func headText(h account.Head) string {
	return fmt.Sprintf("%d:%s", h.Number, hex.EncodeToString(h.Hash))
}

// parseHeads reads heads; the error names all that are none.
func parseHeads(texts []string) ([]account.Head, error) {
	var list []account.Head
	var faults []error
	for _, text := range texts {
		number, hash, _ := strings.Cut(text, ":")
		n, err := strconv.ParseInt(number, 10, 64)
		sum, err2 := hex.DecodeString(hash)
		if err != nil || err2 != nil || n < 1 || len(sum) != 32 {
			faults = append(faults, usageError("--head %s: want NUMBER:HASH, as printed by connectlink audit heads", text))
			continue
		}
		list = append(list, account.Head{Number: n, Hash: sum})
	}
	return list, errors.Join(faults...)
}

type auditExportCommand struct {
	settings
	After int64  `help:"Only the entries after this number, such as the last of an earlier export."`
	Out   string `help:"Write to this file, which must not exist yet, instead of printing." placeholder:"FILE"`
}

// Run writes the log; the export is an entry of it.
func (c *auditExportCommand) Run(e *env) (err error) {
	if c.After < 0 {
		return usageError("--after: want 0 or more")
	}
	to := io.Writer(e.stdout)
	if c.Out != "" {
		f, openErr := os.OpenFile(c.Out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if openErr != nil {
			return usageError("--out: %v", openErr)
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		to = f
	}
	pool, log, err := c.auditLog(e)
	if err != nil {
		return err
	}
	defer pool.Close()
	head, err := log.Export(e.ctx, operatorPrincipal(), c.After, to)
	if err != nil {
		return err
	}
	e.say("Exported up to %s.", headText(head))
	return nil
}

type auditHeadsCommand struct {
	settings
	JSON bool `name:"json" help:"Print JSON lines."`
}

// Run lists the heads of days.
func (c *auditHeadsCommand) Run(e *env) error {
	pool, log, err := c.auditLog(e)
	if err != nil {
		return err
	}
	defer pool.Close()
	list, err := log.Heads(e.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		out := json.NewEncoder(e.stdout)
		for _, d := range list {
			if err := out.Encode(map[string]string{"day": d.Day.Format(time.DateOnly), "head": headText(d.Head)}); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "DAY\tHEAD")
	for _, d := range list {
		_, _ = fmt.Fprintf(w, "%s\t%s\n", d.Day.Format(time.DateOnly), headText(d.Head))
	}
	return w.Flush()
}
