// Package provider declares what a provider of messages is to the rest of the
// program. The vendors' packages below this folder satisfy it; dispatch and track
// know this package only. Package app alone names vendors, where it wires them.
//
// A Sender makes one call for one message and classes the answer: an Acceptance,
// or a SendError with its Outcome and Scope. What a lost answer became is found by
// Find, by reports, or not at all, which Proof tells.
//
// It must not name a vendor, speak a protocol, or decide what an outcome changes.
package provider
