package postgres

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Space knows whether the server's disk is full. A server without room for its data
// still takes writes into its log, so the question whether it takes writes does not find out.
// Pools tell it of their statements, and a Monitor asks it. A nil Space knows nothing.
type Space struct {
	full atomic.Int64 // when a statement last failed for lack of room, in Unix nanoseconds; 0: never, or there is room again
}

// ErrDiskFull says that the server's disk has no room for data.
var ErrDiskFull = errors.New("the disk of the database server is full")

// fullFor is how long a failed statement shows that the disk is full. Statements and not
// the question below have the last word: temporary files may be on another disk.
const fullFor = 3 * time.Second

// diskFull is PostgreSQL's code for it (disk_full).
const diskFull = "53100"

func isDiskFull(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == diskFull
}

// learn takes note of what became of a statement.
func (s *Space) learn(err error) {
	if s != nil && err != nil && isDiskFull(err) {
		s.full.Store(time.Now().UnixNano())
	}
}

// askRoom writes a megabyte into a temporary file, which needs no table and leaves nothing
// behind. It is not asked of a server that is well: some log each temporary file.
const askRoom = `BEGIN; SET LOCAL work_mem = '64kB'; SELECT count(*) FROM generate_series(1, 40000); COMMIT`

// ask returns ErrDiskFull while the disk is known to be full.
func (s *Space) ask(ctx context.Context, conn *pgx.Conn) error {
	if s == nil {
		return nil
	}
	at := s.full.Load()
	switch {
	case at == 0:
		return nil
	case time.Since(time.Unix(0, at)) < fullFor:
		return ErrDiskFull
	}
	_, err := conn.Exec(ctx, askRoom)
	switch {
	case err == nil:
		s.full.CompareAndSwap(at, 0)
		return nil
	case isDiskFull(err):
		return ErrDiskFull
	}
	return err
}
