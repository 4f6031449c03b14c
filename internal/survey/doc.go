// Package survey keeps the counts that the console draws, and raises alerts from
// thresholds.
//
// A run follows the events since the last one (package counts), samples the
// queues once a minute, and compares live mode with the project's thresholds. An
// excursion is raised once and resolved once, however many processes judge: its row and
// its event are written in one transaction. It is resolved when the value is at most half
// of the threshold, so that a value about the threshold does not raise one after the
// other.
//
// The package must not send, pause or retry anything.
package survey
