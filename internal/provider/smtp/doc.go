// Package smtp is the outbound edge to any mail server that takes submissions:
// Amazon SES, a company's own relay. It is the second way for email, or the
// only one.
//
// go-mail builds the message and speaks the protocol. Its Client is not used:
// it runs the whole dialogue in one call, and what an error means depends on
// how far the dialogue had come. Before the dot that ends a message is written,
// the server must not deliver it (RFC 5321, 4.1.1.4), so every failure up to
// there is "not sent". After it only an answer tells; without one the outcome
// is unknown, and SMTP has no way to ask: this sender is blind.
//
// A connection carries one message. A mail server may close an idle connection
// at any time, and the handshake is cheap beside a mail.
//
// TLS with a verified certificate is required, by STARTTLS or from the first
// byte, before anything personal is said. Only a server on this machine's
// loopback interface that does not offer STARTTLS is spoken to in the clear.
//
// It must not retry, store anything, or print what a server says: servers quote
// addresses.
package smtp
