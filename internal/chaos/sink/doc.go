// Package sink replaces the vendors and counts. It speaks as much of the
// protocols of SendGrid's Mail Send, Twilio's Messages and Pipedream's tokens
// as a dispatcher uses, fails on request, and keeps an exact ledger: how often
// each message was taken, independent of the answer that the sender got.
//
// It is test support, leaner than package sandbox on purpose: it keeps nothing
// on disk, so that thousands of messages a second cost it little, and runs as a
// process of its own when the processes that send are being killed.
package sink
