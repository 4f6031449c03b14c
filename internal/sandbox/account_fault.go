package sandbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// AccountFault is what goes wrong between one account and one vendor until EndsAt. It
// is in the database, so that all processes of a deployment obey it.
type AccountFault struct {
	Vendor string
	Kind   string
	EndsAt time.Time
}

// What accounts call the vendors: those of mail and of text messages by their channel,
// because a project may have several of each.
const (
	FaultyPipedream = "pipedream"
	FaultyEmail     = "email"
	FaultySMS       = "sms"
)

// Kinds of faults.
const (
	FaultDown          = "down"           // every call is answered 503
	FaultSlow          = "slow"           // every call takes SlowFor longer
	FaultRateLimited   = "rate_limited"   // every call is answered 429
	FaultLostAnswer    = "lost_answer"    // a send or a new link is taken, and its answer is lost
	FaultDoubledEvents = "doubled_events" // every report comes twice
)

// SlowFor is how long a slow vendor takes for a call.
const SlowFor = 3 * time.Second

// FaultVendors are the vendors that can have faults.
func FaultVendors() []string { return []string{FaultyPipedream, FaultyEmail, FaultySMS} }

// FaultKinds are the kinds of faults that a vendor can have.
func FaultKinds() []string {
	return []string{FaultDown, FaultSlow, FaultRateLimited, FaultLostAnswer, FaultDoubledEvents}
}

// accountFaultsFor is how long a process goes by what it read of the faults.
const accountFaultsFor = 500 * time.Millisecond

// accountFaults are the faults of all accounts as this process read them last.
type accountFaults struct {
	mu   sync.Mutex
	read time.Time // zero: not yet, or changed since
	byID map[accountVendor]AccountFault
}

type accountVendor struct{ account, vendor string }

// SetAccountFault makes a fault of an account's vendor, in place of the one that it
// has, and returns it.
func (s *Sandbox) SetAccountFault(ctx context.Context, account, vendor, kind string, lasting time.Duration) (AccountFault, error) {
	if !slices.Contains(FaultVendors(), vendor) || !slices.Contains(FaultKinds(), kind) {
		return AccountFault{}, errors.New("sandbox: no such fault")
	}
	f := AccountFault{Vendor: vendor, Kind: kind, EndsAt: s.now().Add(lasting)}
	_, err := s.db.Exec(ctx, `INSERT INTO sandbox.faults (account, vendor, kind, ends_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (account, vendor) DO UPDATE SET kind = excluded.kind, ends_at = excluded.ends_at`, account, f.Vendor, f.Kind, f.EndsAt)
	if err != nil {
		return AccountFault{}, fmt.Errorf("set a fault of %s: %w", account, err)
	}
	s.accountFaults.forget()
	return f, nil
}

// ClearAccountFault heals an account's vendor. A vendor without a fault stays as it is.
func (s *Sandbox) ClearAccountFault(ctx context.Context, account, vendor string) error {
	if _, err := s.db.Exec(ctx, `DELETE FROM sandbox.faults WHERE account = $1 AND vendor = $2`, account, vendor); err != nil {
		return fmt.Errorf("clear the fault of %s: %w", account, err)
	}
	s.accountFaults.forget()
	return nil
}

// ListAccountFaults returns the faults of an account that have not ended, by vendor.
func (s *Sandbox) ListAccountFaults(ctx context.Context, account string) ([]AccountFault, error) {
	all, err := s.readAccountFaults(ctx)
	if err != nil {
		return nil, err
	}
	list := []AccountFault{}
	for _, key := range slices.SortedFunc(maps.Keys(all), func(a, b accountVendor) int {
		return slices.Index(FaultVendors(), a.vendor) - slices.Index(FaultVendors(), b.vendor)
	}) {
		if key.account == account {
			list = append(list, all[key])
		}
	}
	return list, nil
}

func (s *Sandbox) readAccountFaults(ctx context.Context) (map[accountVendor]AccountFault, error) {
	rows, err := s.db.Query(ctx, `SELECT account, vendor, kind, ends_at FROM sandbox.faults WHERE ends_at > $1`, s.now())
	if err != nil {
		return nil, fmt.Errorf("read faults: %w", err)
	}
	all := map[accountVendor]AccountFault{}
	var account string
	var f AccountFault
	if _, err := pgx.ForEachRow(rows, []any{&account, &f.Vendor, &f.Kind, &f.EndsAt}, func() error {
		all[accountVendor{account, f.Vendor}] = f
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read faults: %w", err)
	}
	return all, nil
}

func (a *accountFaults) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.read = time.Time{}
}

// accountFault returns the kind of fault that an account has at a vendor now; empty for
// none. A database that cannot be read makes no fault of its own.
func (s *Sandbox) accountFault(ctx context.Context, account, vendor string) string {
	a := &s.accountFaults
	a.mu.Lock()
	defer a.mu.Unlock()
	now := s.now()
	if age := now.Sub(a.read); a.read.IsZero() || age >= accountFaultsFor || age < 0 {
		all, err := s.readAccountFaults(ctx)
		if err != nil {
			s.log.Warn("sandbox faults", "err", err)
			return ""
		}
		a.read, a.byID = now, all
	}
	f, ok := a.byID[accountVendor{account, vendor}]
	if !ok || !f.EndsAt.After(now) {
		return ""
	}
	return f.Kind
}

// extraCopies is how many more times an account's reports are posted.
func (s *Sandbox) extraCopies(ctx context.Context, account, vendor string) int {
	if s.accountFault(ctx, account, vendor) == FaultDoubledEvents {
		return 1
	}
	return 0
}

// accountFaultAt returns the fault that a request of an account meets.
func (s *Sandbox) accountFaultAt(r *http.Request, vendor, op string) (Fault, bool) {
	called := map[string]string{pipedream: FaultyPipedream, sendgrid: FaultyEmail, twilio: FaultySMS, vonage: FaultySMS}[vendor]
	switch s.accountFault(r.Context(), accountOf(r), called) {
	case FaultDown:
		return Fault{Status: http.StatusServiceUnavailable}, true
	case FaultSlow:
		return Fault{LatencyMS: int(SlowFor / time.Millisecond)}, true
	case FaultRateLimited:
		return Fault{Status: http.StatusTooManyRequests, RetryAfterS: 5}, true
	case FaultLostAnswer:
		// What asks later what became of a message is answered.
		return Fault{Cut: CutAfterTaking}, op == "send" || op == "mint"
	}
	return Fault{}, false
}
