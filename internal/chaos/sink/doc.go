// Package sink stands where the vendors are and counts. It speaks as much of
// the wire of SendGrid's Mail Send, Twilio's Messages and Pipedream's tokens as
// a dispatcher uses, fails as it is told to, and keeps an exact ledger: which
// message was taken how often, whatever the sender was told.
//
// It is test support, leaner than package sandbox on purpose: it keeps nothing
// on disk, so that thousands of messages a second cost it little, and runs as a
// process of its own when the processes that send are being killed.
package sink
