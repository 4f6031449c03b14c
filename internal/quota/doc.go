// Package quota turns a message into what the project's limits count, and the
// refusal of a limit into the error that callers get.
//
// It owns which subjects a message counts for and how they are named in the
// database. It must not count by itself: uses are counted by the statement that
// stores the message (package ledger), so that no message is stored uncounted and
// no refused message is counted.
//
// Messages of live mode are limited. Those of test mode reach no person and cost
// nothing.
package quota
