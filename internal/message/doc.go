// Package message owns the content of messages: it renders mails and text
// messages from the templates, counts SMS segments, and defines the message
// as a provider's client takes it.
//
// It must not send, choose a recipient, read configuration or touch the
// database. The caller fills From, To and ReplyTo.
//
// How a message is made:
//
//   - Every sentence of a mail stands once per language (email/body.txt). The
//     HTML and the text part are two parses of that one file, with different
//     functions for names and emphasis, so they cannot drift apart.
//   - Subjects and SMS have variants, one a line, best first. A subject takes
//     the first that fits 60 characters. An SMS takes the first that needs the
//     fewest segments: a link of 140 characters needs two whatever is said, and
//     then the fuller wording costs nothing. The link is never cut.
//   - Values that people typed are cleaned again here (clean), although they
//     were cleaned on their way in: a line break must not reach a header from a
//     row stored by an older version.
//   - NewRenderer renders every message in every language once, since a field
//     that does not exist shows only when a template runs.
package message
