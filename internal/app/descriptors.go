package app

import (
	"syscall"

	"github.com/connectlink/connectlink/internal/dispatch"
)

// ownDescriptors are those of a process beside the connections of its pools, of clients and
// to vendors: River's listener, the process lock, notifications, the readiness check, the
// listeners, the log, name lookups and files.
const ownDescriptors = 20

// descriptorShares are how the file descriptors of a process are shared out. Without
// shares clients take all of them: then no connection to the database can be opened,
// and all requests wait or fail.
type descriptorShares struct {
	clients int // connections from clients
	sends   int // messages sent at a time
	lane    int // of them for one lane
	scarce  bool
}

// shareDescriptors shares out a limit among the pools, clients, and calls to vendors. A
// request may lead to one such call and a message to another, and in test mode both ends of
// a call are in this process.
func shareDescriptors(limit uint64, pools int) descriptorShares {
	rest := 0
	if own := uint64(pools + ownDescriptors); limit > own { //nolint:gosec // a few thousand
		rest = int(min(limit-own, 1<<20)) //nolint:gosec // bounded
	}
	s := descriptorShares{clients: max(rest/6, 4), sends: min(max(rest/4, 4), dispatch.DefaultInFlight)}
	s.lane = max(s.sends/4, 4)
	s.scarce = s.sends < dispatch.DefaultInFlight
	return s
}

// descriptorLimit returns how many file descriptors this process may have. Go has raised
// the soft limit to the hard one at its start.
func descriptorLimit() uint64 {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 1024
	}
	return l.Cur
}

func (a *App) shareDescriptors() {
	limit := descriptorLimit()
	pools := int(a.api.Config().MaxConns + a.work.Config().MaxConns)
	if a.replica != nil {
		pools += int(a.api.Config().MaxConns) // as many by default
	}
	a.shares = shareDescriptors(limit, pools)
	if a.shares.scarce {
		a.log.Warn("few file descriptors: raise the limit (ulimit -n, LimitNOFILE)", "limit", limit, "client_connections", a.shares.clients, "sends", a.shares.sends)
	}
}
