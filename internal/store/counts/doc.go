// Package counts keeps numbers of what happened to invites and messages: by project,
// mode and time.
//
// Requests do not write them. Follow adds up the events that became certain since its
// last run, and moves its cursors in the same transaction, so that each event counts
// once. The numbers name no person: of addresses only the domains of large mailbox
// providers are told apart.
//
// It must not decide what a number means: see package survey for thresholds.
package counts
