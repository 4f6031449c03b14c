// Package sandbox stands in for Pipedream, SendGrid and Twilio, so that test
// keys and test suites go through real HTTP, real signatures and real
// callbacks while nothing leaves the machine.
//
// It is an independent oracle: its wire code is written from the vendors'
// published contracts, never from our own clients, and it must not import
// them or the vendors' SDKs. A misreading would otherwise agree with itself.
//
// It owns the schema "sandbox" and nothing else. The product reaches it only
// as it reaches the vendors, by HTTP, and it reaches the product only as they
// do: signed callbacks and a person's browser. It must not read or write the
// product's tables, and nothing in it may be needed by a live key.
//
// # State
//
// Everything is a row, so several processes can share one sandbox and a kill
// -9 loses nothing. Future work (a delivery's fate, a callback, a scripted
// person's next click) is a row with due_at, claimed with FOR UPDATE SKIP
// LOCKED by the processes that run [Sandbox.Run]. A message's fate moves
// exactly once per step; callbacks are posted at least once, as the vendors
// do. Bodies, addresses and tokens are sealed, and found by keyed hash.
//
// Faults ([Sandbox.SetFaults]) are the exception: they describe the network
// between one listener and its callers, live in that process's memory and die
// with it. A chaos run therefore gives the sandbox a process of its own.
//
// # Three listeners
//
// [Sandbox.Vendors] is the vendors' APIs and the /admin endpoints, for a
// private loopback listener. [Sandbox.Pages] is what people open: the inbox
// and Pipedream's connect page.
//
// The package is larger than most here because it is three services and their
// shared clock; files are named vendor first, then step.
package sandbox
