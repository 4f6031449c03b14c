// Package watch tells waiting requests which invites moved.
//
// It owns who waits for what, in this process's memory, and nothing else: it
// must not know what an invite looks like, what moved it, or HTTP.
//
// # How a move becomes known
//
// The writer of events announces them after its commit: to its own process's
// Registry by Moved, to others by a notification on Channel, which each
// process receives on its one LISTEN connection. Both are hints and may be
// lost. So there is a second way: once every Params.Every the Registry reads
// the versions of all invites with waiters, in one query by primary key, and
// at once after a lost connection. A lost notification therefore delays a
// waiter by no more than that.
//
// # How not to miss one
//
// A request joins first, reads the invite then, and waits only if that is no
// newer than what it has seen. A move between joining and waiting is kept.
//
// # Cost
//
// A waiting request costs a map entry and a channel here, and holds no
// connection of the database. There are at most Params.Max of them, and
// Params.PerInvite for one invite; who comes on top of that is not refused,
// but told not to wait.
package watch
