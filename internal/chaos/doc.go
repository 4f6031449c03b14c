// Package chaos tests the promises of package dispatch with real processes: it
// starts workers, loads deliveries, kills workers with -9 and freezes others
// while they work, and compares the requested messages with those that the
// vendors' stand-in (package sink, a process of its own) counted. Workers die
// at any moment, or at named places (Points), which dispatch's hook reports:
// only workers of this package set it.
//
// Networks are proxies of its own between a worker and its others (Partitions).
//
// Stop runs the real program, built from this module, and stops its database
// under it while customers ask for invites through the API.
//
// FailOver runs it as two processes over a primary and a standby, has the primary
// vanish without a word (frozen, its packets dropped for good, or its address
// moved), promotes the standby, and measures how long it takes until everything
// moves again.
//
// TakeOver runs it on three servers under Patroni with etcd and haproxy, all of them
// real, and replaces the primary: killed, frozen, cut off from the network or from the
// rest of its cluster alone, and demoted by patronictl.
//
// Soak runs it under a steady load without any fault, and watches whether memory,
// goroutines, descriptors and tables stay flat.
//
// It also owns the rig: a dispatcher wired to a sink, and deliveries to load,
// which dispatch's own tests use in one process.
//
// It is test support: nothing else imports it.
package chaos
