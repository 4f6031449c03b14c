// Package traffic keeps pauses of sending that are narrower than a channel (a country,
// a range of phone numbers, an API key), and the counts of text messages and visits by
// which they are judged.
//
// It must not decide who may pause or resume, or when a pause is due.
package traffic
