// Package recovery owns the tables that tell whether the database was restored to an
// earlier time, and finds what may have been sent after that time. It must not decide
// what becomes of a message: packages restore and dispatch do.
//
// PostgreSQL begins a new timeline whenever a server is promoted: after a
// point-in-time recovery and after a failover alike. They differ by the settings
// recovery_target…, which name the earlier time and stay in the configuration after the
// promotion (PostgreSQL's documentation, "Continuous Archiving and Point-in-Time
// Recovery" and "Write Ahead Log: Recovery Target"). A copy made by pg_dump has
// another system identifier. Not recognised are a base backup that is started without
// recovery, a snapshot of a disk, and a recovery to the end of an archive that lacks its
// last segments: no trace of them is in the database.
package recovery
