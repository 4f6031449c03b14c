// Package firewall pauses text messages that people do not visit, which is what
// numbers that are pumped for money look like, and API keys whose messages recipients
// report.
//
// # Visits
//
// Dispatch counts each text message to a person who has not visited yet, by country
// and by range of numbers, in the transaction that records its acceptance. A person's
// first visit is counted with the message that it follows. Scanners do not count:
// package visit tells them apart.
//
// A country's curve is the share of messages that people have visited by a time after
// sending. It is learned from the project's own messages that are older than a day, for
// each part of the day of sending, because people sleep. Where there is little history
// the curve leans on a cautious one for any country, which expects little at the
// country's night.
//
// The floor demands a part of the curve (firewall.floor_percent), of each message by
// its age: a message that was sent a moment ago proves nothing. An area is paused where
// its visits are so few that a Poisson variable with the demanded mean would be that
// small with a probability below 1 in 10,000, in one of several windows. Honest traffic
// has four times the demanded mean, by which the probability of a mistake is much
// smaller. A country or range with few messages is never judged. A country is judged
// without the one range that lacks the most visits, so that a pumped range pauses its
// country only where the numbers are spread over several.
//
// The package must not send, cancel or refuse a message: it makes pauses, and package
// pause shows them to those who send.
package firewall
