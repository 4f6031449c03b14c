// Package contact reads what people write about people: email addresses, phone
// numbers, languages, time zones and names. It accepts only what a message can
// be sent to, brings it into one form, and makes text from outside fit to be
// shown to a recipient.
//
// It must not look anything up (no DNS, no database), send anything, or put an
// address in an error: a Fault describes the fault without repeating the
// value.
//
// # Email addresses
//
// The grammar is RFC 5321's Mailbox, narrowed to what mail providers take:
// a dot-atom of ASCII, at most 64 characters, and a host name of at least two
// labels whose last is letters or an "xn--" label; 254 characters together.
// The domain becomes lower-case ASCII, the local part stays as typed, since
// only its host may say that case does not matter; SearchEmail folds both.
//
// These are refused though some standard allows them, because SendGrid or the
// hosts behind it bounce them and they are far more often slips: display names
// and angle brackets, comments and white space (RFC 5322 CFWS), quoted local
// parts, address literals ("[192.0.2.1]"), a domain of one label ("pat@io"),
// a numeric or hyphenated top-level label, a final dot, underscores in the
// domain, and local parts outside ASCII (SMTPUTF8).
//
// # Phone numbers
//
// Numbers are read with libphonenumber's metadata. A type that certainly
// receives no SMS is a Fault of its own, so that callers can offer email. The
// metadata cannot tell mobile from fixed in the North American plan; those
// pass, and the provider has the last word.
package contact
