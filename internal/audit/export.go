package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/account"
)

// Line is a line of an export. Hash is SHA-256 over the bytes of Previous and the text
// of Entry, byte for byte as it stands in the line.
type Line struct {
	Number   int64           `json:"number"`
	Previous string          `json:"previous"` // in hexadecimal, as Hash; empty for the first entry
	Hash     string          `json:"hash"`
	Entry    json.RawMessage `json:"entry"`
}

// Export writes the chained entries after a number as JSON lines, oldest first, and
// returns the end. The export itself is an entry, written before it.
func (s *Service) Export(ctx context.Context, by access.Principal, after int64, to io.Writer) (account.Head, error) {
	if err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		return account.InsertAudit(ctx, tx, account.Entry{By: by, Act: ActExported})
	}); err != nil {
		return account.Head{}, err
	}
	at := account.Head{Number: after}
	if after > 0 {
		before, err := account.ListChain(ctx, s.db, after-1, 1)
		if err != nil {
			return at, err
		}
		if len(before) == 1 && before[0].Number == after {
			at = before[0].Head
		}
	}
	w := bufio.NewWriter(to)
	for {
		page, err := account.ListChain(ctx, s.db, at.Number, verifiedAtOnce)
		if err != nil {
			return at, fmt.Errorf("export the audit log: %w", err)
		}
		for _, c := range page {
			if c.Entry == nil {
				return at, fmt.Errorf("export the audit log: entry %d is missing; verify the log", c.Number)
			}
			text, err := c.Entry.Text()
			if err != nil {
				return at, err
			}
			line, err := json.Marshal(Line{c.Number, hex.EncodeToString(at.Hash), hex.EncodeToString(c.Hash), text})
			if err != nil {
				return at, fmt.Errorf("export the audit log: %w", err)
			}
			at = c.Head
			if _, err := w.Write(append(line, '\n')); err != nil {
				return at, fmt.Errorf("export the audit log: %w", err)
			}
		}
		if len(page) < verifiedAtOnce {
			break
		}
	}
	if err := w.Flush(); err != nil {
		return at, fmt.Errorf("export the audit log: %w", err)
	}
	return at, nil
}

// maxLine bounds a line of an export in bytes.
const maxLine = 1 << 20

// VerifyExport verifies the lines of an export without a database, and that heads that
// were kept elsewhere stand in it. Errors are those of reading.
func VerifyExport(from io.Reader, kept []account.Head) (Report, error) {
	var r Report
	known := heads{byNumber: map[int64][]namedHead{}}
	for _, h := range kept {
		known.add("the head that was given", h)
	}
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		l, err := parseLine(lines.Bytes())
		if err != nil {
			return r, fmt.Errorf("line %d: %w", n, err)
		}
		r.followLine(n, l, known)
		known.check(&r, r.Head)
	}
	if err := lines.Err(); err != nil {
		return r, fmt.Errorf("read the export: %w", err)
	}
	for number, list := range known.byNumber {
		for _, h := range list {
			r.add("%d: the export does not contain %s", number, h.name)
		}
	}
	return r, nil
}

// parsedLine is a Line with its hashes decoded.
type parsedLine struct {
	account.Head

	previous []byte
	entry    []byte
}

func parseLine(text []byte) (parsedLine, error) {
	var l Line
	if err := json.Unmarshal(text, &l); err != nil {
		return parsedLine{}, fmt.Errorf("not a line of an export: %w", err)
	}
	previous, err := hex.DecodeString(l.Previous)
	hash, err2 := hex.DecodeString(l.Hash)
	if err := errors.Join(err, err2); err != nil {
		return parsedLine{}, fmt.Errorf("not a hash in hexadecimal: %w", err)
	}
	return parsedLine{account.Head{Number: l.Number, Hash: hash}, previous, l.Entry}, nil
}

func (r *Report) followLine(n int, l parsedLine, known heads) {
	if n > 1 && (l.Number != r.Head.Number+1 || !bytes.Equal(l.previous, r.Head.Hash)) {
		r.add("line %d: entry %d does not follow entry %d", n, l.Number, r.Head.Number)
	}
	if n == 1 && l.Number == 1 && len(l.previous) > 0 {
		r.add("line 1: entry 1 follows another")
	}
	if n == 1 { // the end of an earlier export
		known.check(r, account.Head{Number: l.Number - 1, Hash: l.previous})
	}
	r.Entries++
	r.Head = l.Head
	if got := (account.Head{Hash: l.previous}).Next(l.entry); !bytes.Equal(got.Hash, l.Hash) {
		r.add("line %d: entry %d was changed", n, l.Number)
	}
}
