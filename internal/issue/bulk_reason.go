package issue

import (
	"errors"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
)

// Reasons why an invite of a bulk act is not changed. Those that begin with
// ReasonLimitPrefix end with the name of the sending limit.
const (
	ReasonLimitPrefix    = "limit:"
	ReasonConnected      = string(invite.Connected)
	ReasonRevoked        = string(invite.Revoked)
	ReasonReplaced       = string(invite.EventReplaced)
	ReasonExpired        = string(invite.Expired)
	ReasonConnectLink    = "connect_link" // the link is Pipedream's own
	ReasonLater          = "later"        // the end is later than the new one
	ReasonScheduled      = string(invite.Scheduled)
	ReasonGone           = "gone" // deleted or erased
	ReasonUnreadable     = "unreadable"
	ReasonOptedOut       = "opted_out"
	ReasonSuppressed     = string(invite.Suppressed)
	ReasonTooSoon        = "too_soon"
	ReasonPaused         = "paused"
	ReasonNoAddress      = "no_address"
	ReasonInvalidAddress = "invalid_address"
	ReasonNoConsent      = "no_consent"
	ReasonNotListed      = "not_listed"
	ReasonCountry        = "country"
	ReasonNumberType     = "number_type"
	ReasonNeedsCode      = "needs_code"
	ReasonSameAddress    = "same_address"
	ReasonSameChannel    = "same_channel"
	ReasonNoMessage      = "no_message" // nothing is sent by channel link
	ReasonMintFailed     = "mint_failed"
	ReasonUnavailable    = "unavailable"
	ReasonInternal       = "internal"
)

// Doubts of a dry run about an invite that is changed nevertheless.
const (
	DoubtBounced = "no_such_address" // the address did not take the latest message
	DoubtMailbox = "mailbox"         // the new address is of another mailbox
	DoubtDomain  = "domain"          // the domain of the new address looks mistyped
)

// bulkReason returns why an error refuses an invite. status is the invite's.
func bulkReason(err error, status invite.Status) string {
	var refused notExtended
	if errors.As(err, &refused) {
		return string(refused)
	}
	var e *invite.Error
	if !errors.As(err, &e) {
		return ReasonInternal
	}
	switch e.Code { //nolint:exhaustive // the others never come of a resend or a revocation
	case invite.CodeNotResendable, invite.CodeNotRevocable:
		switch status { //nolint:exhaustive // the others can be resent and revoked
		case invite.Connected:
			return ReasonConnected
		case invite.Revoked:
			return ReasonRevoked
		case invite.Scheduled:
			return ReasonScheduled
		}
		return ReasonUnreadable
	case invite.CodeInviteNotFound:
		return ReasonGone
	case invite.CodeResendTooSoon:
		return ReasonTooSoon
	case invite.CodeLimitExceeded:
		if e.Limit != nil {
			return ReasonLimitPrefix + e.Limit.Name
		}
	case invite.CodeCountryPaused, invite.CodeKeyPaused:
		return ReasonPaused
	case invite.CodeRecipientSuppressed:
		return ReasonSuppressed
	case invite.CodeRecipientOptedOut:
		return ReasonOptedOut
	case invite.CodeConsentMissing:
		return ReasonNoConsent
	case invite.CodeRecipientNotListed:
		return ReasonNotListed
	case invite.CodeCountryNotAllowed:
		return ReasonCountry
	case invite.CodePhoneTypeUnsupported, invite.CodeNumberTypeNotAllowed:
		return ReasonNumberType
	case invite.CodeMintFailed, invite.CodeUnknownApp, invite.CodeAppNeedsNoAccount:
		return ReasonMintFailed
	case invite.CodeUnavailable, invite.CodeRateLimited, invite.CodeIdempotencyInProgress:
		return ReasonUnavailable
	case invite.CodeInvalidRequest:
		return faultReason(e.Faults)
	}
	return ReasonInternal
}

// faultReason returns the reason of the first fault.
func faultReason(faults []invite.Fault) string {
	switch {
	case len(faults) == 0:
		return ReasonInternal
	case faults[0].Pointer == "/channel":
		return ReasonNeedsCode
	case strings.HasPrefix(faults[0].Pointer, "/recipient/") && faults[0].Code == invite.FaultRequired:
		return ReasonNoAddress
	}
	return ReasonInvalidAddress
}

// retryIn returns when a refused item is tried again; ok is false where a repetition would be refused
// as well.
func retryIn(err error) (after time.Duration, ok bool) {
	var e *invite.Error
	if !errors.As(err, &e) {
		return bulkRetryAfter, true
	}
	after = time.Duration(e.RetryAfterS) * time.Second
	switch e.Code { //nolint:exhaustive // the others last
	case invite.CodeLimitExceeded:
		return after, after > 0
	case invite.CodeResendTooSoon, invite.CodeUnavailable, invite.CodeRateLimited, invite.CodeIdempotencyInProgress:
		if after <= 0 {
			after = bulkRetryAfter
		}
		return after, true
	}
	return 0, false
}
