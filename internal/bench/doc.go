// Package bench measures the real program: it builds it, runs it beside stub
// vendors on a durable Postgres of its own, and compares it with two yardsticks on
// the same server in the same minutes. One is pgbench with a transaction of three
// inserts; the other is a prototype on the job queue River (.ci/river, a module of
// its own). Parts of a measurement alternate, so that other load on the machine
// falls on all of them, and results are ratios of one round's parts.
//
// It is test support. Benchmarks of other packages use its CPUTime and FlushTime.
package bench
