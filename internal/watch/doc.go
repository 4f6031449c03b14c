// Package watch tells waiting requests which invites moved.
//
// It owns who waits for what, in this process's memory, and nothing else: it
// must not know what an invite looks like, what moved it, or HTTP.
//
// # How a move becomes known
//
// Whoever commits events says so after the commit: to its own process's
// Registry by Moved, to others by a notification on Channel, which each hears
// on its one LISTEN connection. Both are hints, and may be lost. So a second
// way leads to the same end: once every Params.Every the Registry asks for the
// versions of all invites somebody waits for, in one query by primary key, and
// does it at once when a lost connection may have hidden something. Nobody
// waits longer for want of a notification than that.
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
