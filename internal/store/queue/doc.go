// Package queue is the delivery table seen as a queue: claiming with leases,
// lanes, attempts under a fence, and the row that processes share about a
// provider account.
//
// # Leases
//
// A delivery with pending work has next_at, the moment it is due. Claiming
// moves next_at to the end of a lease, so that "due" and "its lease lapsed"
// are one predicate and one index. Every claim adds one to lease_token, the
// fencing token, and names its owner: the key of a session advisory lock that
// the owning process holds as long as it lives. Another process can claim a
// lease after it lapsed, or at once when its owner's lock is free (Reap).
//
// Token and owner together are the fence: each later write names both, and a
// write that meets no row tells its process that the work is no longer its own.
// The owner belongs to the fence because claims are committed without waiting
// for the disk: a claim lost in a crash of the server may give its token to the
// next process, but never its owner, which is drawn afresh with each hold of
// the lock.
//
// Only the database's clock decides; durations are handed in.
//
// # Order of locks
//
// Claim, Renew, Reap and ResumeLanes write many deliveries at once and skip
// locked ones, so they cannot be part of a deadlock; Release and its like write
// one. Begin locks deliveries in the order of their invites, which is ledger's too.
// Held, QueueResults and QueueNext belong into a transaction that has locked the
// invites before, through ledger.
//
// The package must not open transactions, decide what a delivery needs, or
// change what it stands for: statuses are folded by ledger.
package queue
