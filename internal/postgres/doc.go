// Package postgres is how the product reaches its database: the pool and its
// limits, transactions, errors by type, migrations, LISTEN and NOTIFY, and a
// lock that lives as long as a process does.
//
// It owns no table and no query of the product's; those stand in store/*. It
// must not retry on its own: whether a second try is safe, only the caller
// knows.
//
// # Time limits
//
// Every connection of a pool carries statement_timeout, lock_timeout and
// idle_in_transaction_session_timeout, jit = off, enable_seqscan = off and
// random_page_cost = 1.1, sent as start-up parameters, so that no code path can forget
// them. A transaction pooler refuses such parameters, so with Params.Pooled none is sent: set them on the role, as
// docs/operations.md says. Waiting for a
// free connection is bounded too: a full pool answers ErrUnavailable after
// Params.AcquireTimeout, also when the caller's own deadline is far.
//
// The server's limits end nothing when the server does not answer. So each pool
// has limits on this side too, set by its tracer, which pgx asks before each
// statement: a statement ends a second after its statement_timeout, a transaction
// as a whole after Params.TxTimeout, and their connection is closed. A read that
// is no statement ends with its socket (Sockets), which also has keepalive and
// TCP_USER_TIMEOUT. No caller can forget a limit; give a context with a deadline
// where a shorter one is wanted.
//
// # Failover
//
// With several hosts the writer is asked for unless the URL says otherwise, each
// host has its own time to connect, and one that did not answer is skipped for a
// few seconds. A session that answers 25006 is closed, and its pool replaced: it
// belongs to a reader. Monitor finds out whether the database takes writes.
//
// # Direct connections
//
// Listener, Notifier and HoldLock need sessions of their own, which a
// transaction pooler does not give: hand them the direct URL.
//
// # NOTIFY
//
// A transaction that notifies takes one lock for the whole cluster when it
// commits, which halved the accept rate in a measurement with 64 clients. So
// no transaction notifies: the Notifier sends on its own connection after the
// commit, merged to one notification per channel every few milliseconds.
// Notifications are hints that may be lost (a crash, a broken connection), so
// every waiter also polls.
package postgres
