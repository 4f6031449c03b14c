// Package ledger owns the tables in which an invite's life is recorded:
// invites, connect_links, deliveries, attempts, codes, events, idempotency,
// callbacks and seen.
//
// What happens to an invite goes through Append: it locks the invite's row,
// then its deliveries, folds the events and writes the result, so that no two
// writers can disagree about what stands. Locks are always taken in the order
// invite, delivery; batches lock invites in the order of their ids.
//
// Every time that is stored or compared is this database's: durations are
// handed in and added to now(), because an application's clock may be off.
//
// It must not open transactions, seal addresses or talk to anything but
// Postgres: callers hand in a transaction and sealed values.
package ledger
