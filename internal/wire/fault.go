package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"
)

var (
	// ErrLeaseOver: the lease on the work ran out before the request was
	// written; the socket refused it.
	ErrLeaseOver = errors.New("the lease ran out before the request was written")
	// ErrTooLarge: the answer's body is longer than Params.MaxResponse.
	ErrTooLarge = errors.New("the answer is too large")
)

// Outcome is the knowledge about a call without a usable answer. Its words
// are those of the message vocabulary.
type Outcome string

const (
	// NotSent: nothing reached the vendor, or it said that it did not process it.
	NotSent Outcome = "not_sent"
	// Refused: the vendor answered a definite no.
	Refused Outcome = "refused"
	// Unknown: the vendor may have acted on it.
	Unknown Outcome = "unknown"
)

// Classify returns the outcome of a failed call (no status line was read).
// Only bytes sent decide: the kind of error describes how it ended, not what
// the vendor did.
func Classify(w *Written) Outcome {
	if w.Any() {
		return Unknown
	}
	return NotSent
}

// ClassifyStatus does the same for an answer that is not a success: 429 says
// "not processed", 408 and 5xx may come from something in front of a vendor
// that did process it, every other 3xx and 4xx is a definite no.
func ClassifyStatus(status int) Outcome {
	switch {
	case status == http.StatusTooManyRequests:
		return NotSent
	case status == http.StatusRequestTimeout:
		return Unknown
	case status >= 300 && status < 500:
		return Refused
	default:
		return Unknown
	}
}

// Passing reports whether a status may be different next time.
func Passing(status int) bool {
	return status == http.StatusRequestTimeout || status == http.StatusTooManyRequests || status >= 500
}

type (
	dialError struct{ err error }
	tlsError  struct{ err error }
)

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }
func (e *tlsError) Error() string  { return e.err.Error() }
func (e *tlsError) Unwrap() error  { return e.err }

// Kind is the class of a transport fault, for logs and metrics.
type Kind string

// The kinds of transport fault.
const (
	KindDNS      Kind = "dns"
	KindDial     Kind = "dial"
	KindTLS      Kind = "tls"
	KindTimeout  Kind = "timeout"
	KindCanceled Kind = "canceled"
	KindReset    Kind = "reset"
	KindEOF      Kind = "eof"
	KindLease    Kind = "lease_over"
	KindTooLarge Kind = "too_large"
	KindProtocol Kind = "protocol"
)

// Fault is a transport error that is safe to log: net/http wraps every error
// in one that prints the URL, and a URL may be a bearer secret.
type Fault struct {
	Kind Kind
	err  error
}

// Error prints the cause by name: the error itself may quote hosts, addresses and
// what the other side said.
func (f *Fault) Error() string {
	switch f.Kind {
	case KindDNS, KindDial, KindTLS:
		cause, words := f.explain()
		return string(f.Kind) + ": " + words + " (" + cause + ")"
	case KindLease, KindTooLarge:
		return f.err.Error()
	default:
		return string(f.Kind)
	}
}

// Unwrap gives the cause, free of *url.Error at its head.
func (f *Fault) Unwrap() error { return f.err }

// Strip classifies err and takes the URL out of it. Nil stays nil, and an error
// that was stripped before is returned as it is.
func Strip(err error) error {
	if err == nil {
		return nil
	}
	var done *Fault
	if errors.As(err, &done) {
		return done
	}
	for {
		var ue *url.Error
		if !errors.As(err, &ue) {
			break
		}
		err = ue.Err
	}
	return &Fault{Kind: kindOf(err), err: err}
}

func kindOf(err error) Kind {
	var (
		dns     *net.DNSError
		dial    *dialError
		hand    *tlsError
		alert   tls.AlertError
		cert    *tls.CertificateVerificationError
		unknown x509.UnknownAuthorityError
		record  tls.RecordHeaderError
		timeout interface{ Timeout() bool }
	)
	switch {
	case errors.Is(err, ErrLeaseOver):
		return KindLease
	case errors.Is(err, ErrTooLarge):
		return KindTooLarge
	case errors.As(err, &dns):
		return KindDNS
	case errors.Is(err, context.Canceled):
		return KindCanceled
	case errors.As(err, &hand), errors.As(err, &alert), errors.As(err, &cert), errors.As(err, &unknown),
		errors.As(err, &record):
		return KindTLS
	case errors.As(err, &dial):
		return KindDial
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return KindTimeout
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return KindReset
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return KindEOF
	default:
		return KindProtocol
	}
}

// Cause names what went wrong with a connection, as a stable word for logs and
// metrics. It names no host.
func (f *Fault) Cause() string {
	cause, _ := f.explain()
	return cause
}

// Words says the same in words for an operator. They name no host.
func (f *Fault) Words() string {
	_, words := f.explain()
	return words
}

func (f *Fault) explain() (cause, words string) {
	var (
		invalid x509.CertificateInvalidError
		host    x509.HostnameError
		unknown x509.UnknownAuthorityError
		record  tls.RecordHeaderError
		dns     *net.DNSError
	)
	switch {
	case errors.As(f.err, &invalid) && invalid.Reason == x509.Expired:
		return "certificate_expired", "the server's certificate has expired or is not valid yet"
	case errors.As(f.err, &invalid):
		return "certificate_invalid", "the server's certificate may not be used for this"
	case errors.As(f.err, &host):
		return "certificate_wrong_host", "the server's certificate is for another host"
	case errors.As(f.err, &unknown):
		return "certificate_untrusted", "the server's certificate is signed by an authority that is not trusted here"
	case errors.As(f.err, &record):
		return "tls_not_spoken", "the server does not speak TLS at this port"
	case errors.As(f.err, &dns) && dns.IsNotFound:
		return "dns_not_found", "the name service knows no such host"
	case errors.As(f.err, &dns) && dns.IsTimeout:
		return "dns_timeout", "the name service did not answer in time"
	case f.Kind == KindDNS:
		return "dns_failed", "the name service could not answer"
	case errors.Is(f.err, syscall.ECONNREFUSED):
		return "connection_refused", "the connection was refused: nothing listens there"
	case errors.Is(f.err, syscall.EHOSTUNREACH), errors.Is(f.err, syscall.ENETUNREACH):
		return "unreachable", "there is no way to the host from here"
	case f.Kind == KindTimeout, errors.Is(f.err, context.DeadlineExceeded), errors.Is(f.err, os.ErrDeadlineExceeded), errors.Is(f.err, syscall.ETIMEDOUT):
		return "timeout", "there was no answer in time"
	case f.Kind == KindTLS:
		return "tls_failed", "the encrypted connection could not be set up"
	case f.Kind == KindReset:
		return "connection_reset", "the connection was reset"
	case f.Kind == KindEOF:
		return "connection_closed", "the connection was closed without an answer"
	case f.Kind == KindDial:
		return "connection_failed", "the connection could not be opened"
	case f.Kind == KindCanceled:
		return "call_canceled", "the call was given up"
	case f.Kind == KindLease:
		return "lease_over", "the lease ran out before the request was written"
	case f.Kind == KindTooLarge:
		return "too_large", "the answer is too large"
	}
	return "protocol", "the answer is not what the protocol allows"
}
