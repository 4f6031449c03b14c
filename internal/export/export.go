package export

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/required"
	"github.com/connectlink/connectlink/internal/store/account"
)

// Bounds of an export.
const (
	// MaxRows is how many rows a file has at most. Pages state it in words.
	MaxRows = 100_000
	// MaxDuration is how long the rows of a file are read at most.
	MaxDuration = 8 * time.Minute

	batchRows   = 500
	batchWithin = 10 * time.Second
	// maxAtOnce is how many exports run in a process at a time.
	maxAtOnce = 4
	// recordWithin bounds the last entry in the audit log, which also follows a client
	// that left.
	recordWithin = 5 * time.Second
)

// ActStarted is the entry of an export whose first part was sent before its end was
// reached. The entry access.ActExport follows at the end.
const ActStarted access.Act = "export_started"

// Errors of Write, before anything was written.
var (
	ErrForbidden = errors.New("the role may not export")
	// ErrBusy is returned to a person whose other export has not ended.
	ErrBusy = errors.New("another export of this person has not ended")
)

// errEnded is returned when the session or the role ended during an export.
var errEnded = errors.New("the right to export ended")

// Params are what a Service needs. Zero bounds are replaced by the package's.
type Params struct {
	DB        *pgxpool.Pool
	MaxRows   int
	BatchRows int
	Now       func() time.Time // time.Now
}

// Service writes exports. It is safe for concurrent use.
type Service struct {
	p Params

	mu      sync.Mutex
	running map[string]bool // by person
}

// New returns a Service. A missing collaborator is an error.
func New(p Params) (*Service, error) {
	if err := required.Check("export.Params", map[string]any{"DB": p.DB}); err != nil {
		return nil, err
	}
	if p.MaxRows <= 0 {
		p.MaxRows = MaxRows
	}
	if p.BatchRows <= 0 {
		p.BatchRows = batchRows
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	return &Service{p: p, running: map[string]bool{}}, nil
}

// List is a list of invites to export.
type List struct {
	Name    string   // of the list, a word for the audit log
	Filters []string // names of those that are set
	Columns []string // beside those of every list, for the Extra values of rows
	Format  Format
	// Read returns the rows after an id, at most limit, newest first; the first ones
	// for the zero id.
	Read func(ctx context.Context, after invite.ID, limit int) (Batch, error)
	// Still reports whether the person may still export. It is asked before each batch
	// but the first.
	Still func(ctx context.Context) (bool, error)
}

// Batch is a part of a list.
type Batch struct {
	Rows []Row
	Next invite.ID // the id to go on from; zero at the end of the list
	Cut  bool      // the list ends here because older matches are not listed
}

// End is how an export ended.
type End string

// The ends. Only a file with EndComplete has the whole list.
const (
	EndComplete    End = "complete"
	EndRowLimit    End = "row_limit"
	EndTimeLimit   End = "time_limit"
	EndSearchLimit End = "search_limit" // older matches of a search are not listed
	EndInterrupted End = "interrupted"  // the client left, the right ended, or reading failed
)

// Write writes a list to a file. It returns ErrForbidden, ErrBusy or *invite.Error
// (unavailable: too many exports run) before anything is written.
//
// A list of one batch is recorded before its first byte is written. A longer one has
// an entry before its first byte, and another one with the number of rows at the end.
func (s *Service) Write(ctx context.Context, by access.Principal, l List, to io.Writer) error {
	if !by.May(access.ActExport) {
		return fmt.Errorf("export the list %s: %w", l.Name, ErrForbidden)
	}
	if err := s.enter(by.Actor()); err != nil {
		return err
	}
	defer s.leave(by.Actor())
	f := &file{s: s, by: by, list: l, out: newWriter(l.Format, l.Columns), to: to}
	end, err := f.writeBatches(ctx)
	switch {
	case err != nil && !f.begun: // nothing left the service
		return err
	case err != nil:
		end = EndInterrupted
	}
	if failed := f.record(ctx, access.ActExport, map[string]string{"rows": strconv.Itoa(f.rows), "end": string(end)}); err != nil || failed != nil {
		return errors.Join(err, failed)
	}
	f.out.finish(f.rows, end, f.oldest)
	return f.flush()
}

func (s *Service) enter(person string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[person] {
		return ErrBusy
	}
	if len(s.running) >= maxAtOnce {
		return &invite.Error{Code: invite.CodeUnavailable, Message: "Too many exports run here now.", RetryAfterS: 60}
	}
	s.running[person] = true
	return nil
}

func (s *Service) leave(person string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, person)
}

// file is one export.
type file struct {
	s    *Service
	by   access.Principal
	list List
	out  *writer
	to   io.Writer

	rows   int
	oldest string // when the last row was created
	begun  bool   // a part was recorded and may have been written
}

func (f *file) writeBatches(ctx context.Context) (End, error) {
	over := f.s.p.Now().Add(MaxDuration)
	var after invite.ID
	for {
		if !after.IsZero() {
			switch may, err := f.list.Still(ctx); {
			case err != nil:
				return "", err
			case !may:
				return "", errEnded
			}
		}
		b, err := f.read(ctx, after)
		if err != nil {
			return "", err
		}
		left := f.s.p.MaxRows - f.rows
		more := len(b.Rows) > left
		if more {
			b.Rows = b.Rows[:left]
		}
		for _, r := range b.Rows {
			f.out.add(r)
			f.oldest = r.CreatedAt
		}
		f.rows += len(b.Rows)
		switch {
		case more:
			return EndRowLimit, nil
		case b.Cut:
			return EndSearchLimit, nil
		case b.Next.IsZero():
			return EndComplete, nil
		case !f.s.p.Now().Before(over):
			return EndTimeLimit, nil
		}
		after = b.Next
		if err := f.begin(ctx); err != nil {
			return "", err
		}
		if err := f.flush(); err != nil {
			return "", err
		}
	}
}

func (f *file) read(ctx context.Context, after invite.ID) (Batch, error) {
	ctx, cancel := context.WithTimeout(ctx, batchWithin)
	defer cancel()
	return f.list.Read(ctx, after, f.s.p.BatchRows)
}

// begin records the export before its first part is written.
func (f *file) begin(ctx context.Context) error {
	if f.begun {
		return nil
	}
	f.begun = true
	return f.record(ctx, ActStarted, map[string]string{})
}

func (f *file) flush() error {
	part, err := f.out.take()
	if err != nil || len(part) == 0 {
		return err
	}
	if _, err := f.to.Write(part); err != nil {
		return fmt.Errorf("write an export: %w", err)
	}
	return nil
}

// record writes an entry into the audit log, for an interrupted export too. It has
// names of filters and no values: these may be of a person.
func (f *file) record(ctx context.Context, act access.Act, data map[string]string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordWithin)
	defer cancel()
	data["format"] = string(f.list.Format)
	if len(f.list.Filters) > 0 {
		data["filters"] = strings.Join(f.list.Filters, " ")
	}
	err := postgres.InTx(ctx, f.s.p.DB, func(tx pgx.Tx) error {
		return account.InsertAudit(ctx, tx, account.Entry{By: f.by, Act: act, Target: f.list.Name, Data: data})
	})
	if err != nil {
		return fmt.Errorf("record the export of the list %s: %w", f.list.Name, err)
	}
	return nil
}
