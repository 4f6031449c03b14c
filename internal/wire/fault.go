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

// Outcome is what is known of a call that brought no usable answer. Its words
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

// Classify tells what a failed call (no status line was read) leaves behind.
// Only whether bytes left decides: the kind of error says how it ended, not
// what the vendor did.
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

// Passing says whether a status may be different next time.
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

// Error prints the cause only where it is made by the network or by TLS, and so
// names hosts at most. What net/http says of a malformed answer quotes it.
func (f *Fault) Error() string {
	switch f.Kind {
	case KindDNS, KindDial, KindTLS:
		return string(f.Kind) + ": " + f.err.Error()
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
