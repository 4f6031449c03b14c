package invite

import (
	"errors"
	"fmt"
)

// Code is a stable, public error code. The OpenAPI document lists the same
// ones; a test compares.
type Code string

const (
	CodeInvalidRequest         Code = "invalid_request" // fields are at fault; see Faults
	CodeMalformed              Code = "malformed_body"  // not JSON, invalid UTF-8, NUL
	CodeTooLarge               Code = "body_too_large"  //
	CodeUnsupportedMedia       Code = "unsupported_media_type"
	CodeMethodNotAllowed       Code = "method_not_allowed"
	CodeNotFound               Code = "not_found"
	CodeAuthenticationRequired Code = "authentication_required"
	CodeInvalidAPIKey          Code = "invalid_api_key"
	CodeInsufficientScope      Code = "insufficient_scope"
	CodeInviteNotFound         Code = "invite_not_found"
	CodeDeliveryNotFound       Code = "delivery_not_found"
	CodeEventNotFound          Code = "event_not_found"
	CodeEndpointNotFound       Code = "endpoint_not_found"
	CodeManagedByConfiguration Code = "managed_by_configuration"
	CodeWebhookURLNotAllowed   Code = "webhook_url_not_allowed"
	CodeMessageNotFound        Code = "message_not_found"
	CodeSuppressionNotFound    Code = "suppression_not_found"
	CodeActiveInviteExists     Code = "active_invite_exists"
	CodeNotResendable          Code = "invite_not_resendable"
	CodeNotRevocable           Code = "invite_not_revocable"
	CodeNotExtendable          Code = "invite_not_extendable"
	CodeInviteEnded            Code = "invite_ended"
	CodeVerificationRequired   Code = "verification_required"
	CodeIdempotencyInProgress  Code = "idempotency_in_progress"
	CodeIdempotencyReused      Code = "idempotency_key_reused"
	CodeAlreadyConnected       Code = "already_connected"
	CodeNotConnected           Code = "invite_not_connected"
	CodeNotYet                 Code = "not_yet"
	CodeRecipientSuppressed    Code = "recipient_suppressed"
	CodeRecipientOptedOut      Code = "recipient_opted_out"
	CodeRecipientNotListed     Code = "recipient_not_in_development_list"
	CodeConsentMissing         Code = "sms_consent_missing"
	CodeUnknownApp             Code = "unknown_app"
	CodeAppNeedsNoAccount      Code = "app_needs_no_account"
	CodePhoneTypeUnsupported   Code = "phone_type_unsupported"
	CodeReturnURLNotAllowed    Code = "return_url_not_allowed"
	CodeRateLimited            Code = "rate_limited"
	CodeResendTooSoon          Code = "resend_too_soon"
	CodeMintFailed             Code = "token_mint_failed"
	CodeUnavailable            Code = "unavailable"
	CodeInternal               Code = "internal"
	CodeTestKeyRequired        Code = "test_key_required"
	CodeBatchTooLarge          Code = "batch_too_large"
	CodeLimitExceeded          Code = "limit_exceeded"
	CodeCountryNotAllowed      Code = "country_not_allowed"
	CodeNumberTypeNotAllowed   Code = "number_type_not_allowed"
	CodeCountryPaused          Code = "country_paused"
	CodeKeyPaused              Code = "key_paused"
)

// Field fault codes: the fault of one member of a request.
const (
	FaultRequired     Code = "required"
	FaultInvalid      Code = "invalid"
	FaultUnknownField Code = "unknown_field"
	FaultDuplicate    Code = "duplicate_field"
	FaultTooLong      Code = "too_long"
	FaultOutOfRange   Code = "out_of_range"
	FaultNotAllowed   Code = "not_allowed"
	FaultWrongType    Code = "wrong_type"
)

// Fault is one thing wrong with one member of a request.
type Fault struct {
	Pointer    string `json:"pointer"` // RFC 6901, "/recipient/email"
	Code       Code   `json:"code"`
	Detail     string `json:"detail"` // never repeats the value: it may be an address
	Suggestion string `json:"suggestion,omitempty"`
}

// Error is a failure that the caller is told about: a code, words for the
// public, and the cause for the log.
type Error struct {
	Code    Code
	Message string // public
	Faults  []Fault
	// RetryAfterS is set with rate_limited, limit_exceeded, resend_too_soon and unavailable; seconds.
	RetryAfterS int
	// ExistingID is the invite that stands in the way (active_invite_exists, already_connected).
	ExistingID ID
	Limit      *Limit // with limit_exceeded
	Err        error  // private
}

// Limit is a sending limit that a request would exceed.
type Limit struct {
	Name      string // as in GET /v1/limits, "recipient_per_hour"
	Scope     string // the counted kind of subject, "recipient"
	Max       string // messages, or an amount of money
	Remaining int64  // messages that are still allowed
}

// Error implements error, without the private cause's secrets: causes are
// wrapped by code that keeps values out of them.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.Err)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Message)
}

// Unwrap gives the private cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error without faults.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// CodeOf returns the public code of err: CodeInternal for anything that is not an Error.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}
