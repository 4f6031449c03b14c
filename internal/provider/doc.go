// Package provider declares what a provider of messages is to the rest of the
// program. The vendors' packages below this folder satisfy it; dispatch and track
// know this package only. Package app alone names vendors, where it wires them.
//
// A Sender makes one call for one message and classes the answer: an Acceptance,
// or a SendError with its Outcome, Scope and Reason. What a lost answer became is
// found by Find, by reports, or not at all, which Proof tells. Callbacks verify what
// a vendor posts and read it as neutral Reports and Replies. What only some vendors
// do is an interface of its own: Redactor, Unlister.
//
// # How to add a provider
//
//  1. internal/provider/NAME: a Sender and, if the vendor reports, Callbacks. Give
//     each SendError a Reason; an unknown code must not end as the recipient's fault.
//     Cite the vendor's page for each fact in the package comment.
//  2. Its tests run providertest.Run and providertest.RunCallbacks against a server
//     that speaks the vendor's protocol. Both suites fail where a message could go out
//     twice, a forged post be believed, or a secret be printed.
//  3. config/NAME.go: the settings; config/accounts.go: one entry in Accounts, which
//     makes the name known to the order of providers.
//  4. internal/app/vendor_NAME.go: an opener from settings to a Provider, and what puts
//     the sandbox's account in their place in test mode; one line in providerKinds.
//  5. A stand-in for test mode in internal/sandbox; for texts one entry in textVendors.
//
// Routes, storage, matching, folding, failover, opt-outs, redaction and the doctor
// need no change. Callbacks arrive at
//
//	/hooks/NAME/PROJECT/MODE                              posts of many reports
//	/hooks/NAME/status/PROJECT/MODE/INVITE/ATTEMPT        reports on one attempt
//	/hooks/NAME/inbound/PROJECT/MODE                      replies
//
// This package must not name a vendor, speak a protocol, or decide what an outcome
// changes.
package provider
