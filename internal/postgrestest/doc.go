// Package postgrestest gives tests a real PostgreSQL: a transaction that is
// rolled back (Tx, well under a millisecond), or a database of their own where
// connections, commits or LISTEN matter (New, Pool: some tens of milliseconds).
//
// It owns the test server and its databases. It must not be imported by
// anything but tests, and it never skips: a missing PostgreSQL is a failure
// with instructions to install it.
//
// # One server for every package under test
//
// `go test ./...` runs a process per package. They share one server under the
// temporary folder: the first starts it, the others join (package devpg
// arranges that under a lock), and it serves the next run too. Each process
// keeps one connection with a shared advisory lock. A session inside the
// server, which belongs to no process, keeps trying for the same lock
// exclusively; once it has held it for a while no process is left, and it stops
// the server. Being locks of the server, they end with their holders, by any
// death; being taken before any use, they leave no gap in which the server
// could be stopped under a newcomer.
//
// The server runs without fsync and, where there is room, in memory: tests do
// not survive power cuts. A folder from before the machine's last start is
// thrown away.
//
// # Databases
//
// Migrations run once per version of the migrations, into a template database
// whose name holds their hash. Tests get copies.
//
// CONNECTLINK_TEST_DATABASE_URL (or DATABASE_URL) names another server to use;
// its role must be allowed to create databases.
package postgrestest
