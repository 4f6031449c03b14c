package web

import (
	"net/http"
	"slices"

	"github.com/connectlink/connectlink/internal/invite"
)

// Kind is what a code means in HTTP.
type Kind struct {
	Code   invite.Code
	Status int
	Title  string // never changes with the occasion; Problem.Detail does
	// Retryable means that the same request may succeed later, unchanged.
	// internal is not retryable, because its cause is unknown.
	Retryable bool
}

// Kinds is the one table from error code to HTTP status. A test compares it
// with the codes of package invite.
func Kinds() []Kind {
	return []Kind{
		{invite.CodeMalformed, http.StatusBadRequest, "The request could not be read", false},
		{invite.CodeAuthenticationRequired, http.StatusUnauthorized, "An API key is required", false},
		{invite.CodeInvalidAPIKey, http.StatusUnauthorized, "The API key is not valid", false},
		{invite.CodeInsufficientScope, http.StatusForbidden, "The API key may not do this", false},
		{invite.CodeTestKeyRequired, http.StatusForbidden, "Only test keys may do this", false},
		{invite.CodeNotFound, http.StatusNotFound, "There is nothing at this path", false},
		{invite.CodeInviteNotFound, http.StatusNotFound, "There is no such invite", false},
		{invite.CodeDeliveryNotFound, http.StatusNotFound, "There is no such delivery", false},
		{invite.CodeEventNotFound, http.StatusNotFound, "There is no such event", false},
		{invite.CodeEndpointNotFound, http.StatusNotFound, "There is no such webhook endpoint", false},
		{invite.CodeManagedByConfiguration, http.StatusConflict, "The webhook endpoint is set in the configuration", false},
		{invite.CodeWebhookURLNotAllowed, http.StatusUnprocessableEntity, "Events are not posted to this address", false},
		{invite.CodeMessageNotFound, http.StatusNotFound, "There is no such message", false},
		{invite.CodeSuppressionNotFound, http.StatusNotFound, "There is no such suppression", false},
		{invite.CodeMethodNotAllowed, http.StatusMethodNotAllowed, "This path does not take this method", false},
		{invite.CodeActiveInviteExists, http.StatusConflict, "An open invite exists already", false},
		{invite.CodeNotResendable, http.StatusConflict, "The invite cannot be resent", false},
		{invite.CodeNotConnected, http.StatusConflict, "No account is connected", false},
		{invite.CodeNotRevocable, http.StatusConflict, "The invite cannot be revoked", false},
		{invite.CodeNotExtendable, http.StatusConflict, "The invite cannot be extended", false},
		{invite.CodeInviteEnded, http.StatusConflict, "The invite is over", false},
		{invite.CodeVerificationRequired, http.StatusConflict, "The recipient must enter a code first", false},
		{invite.CodeIdempotencyInProgress, http.StatusConflict, "The first request with this Idempotency-Key is still under way", true},
		{invite.CodeAlreadyConnected, http.StatusConflict, "The account is connected already", false},
		{invite.CodeTooLarge, http.StatusRequestEntityTooLarge, "The body is too large", false},
		{invite.CodeBatchTooLarge, http.StatusRequestEntityTooLarge, "The batch has too many items", false},
		{invite.CodeUnsupportedMedia, http.StatusUnsupportedMediaType, "The body must be application/json", false},
		{invite.CodeInvalidRequest, http.StatusUnprocessableEntity, "The request has faults", false},
		{invite.CodeIdempotencyReused, http.StatusUnprocessableEntity, "The Idempotency-Key was used for another request", false},
		{invite.CodeNotYet, http.StatusUnprocessableEntity, "This is not available yet", false},
		{invite.CodeRecipientSuppressed, http.StatusUnprocessableEntity, "The recipient is blocked", false},
		{invite.CodeRecipientOptedOut, http.StatusUnprocessableEntity, "The recipient opted out", false},
		{invite.CodeRecipientNotListed, http.StatusUnprocessableEntity, "The recipient is not on the development list", false},
		{invite.CodeConsentMissing, http.StatusUnprocessableEntity, "Consent to text messages is missing", false},
		{invite.CodeUnknownApp, http.StatusUnprocessableEntity, "There is no such app", false},
		{invite.CodeAppNeedsNoAccount, http.StatusUnprocessableEntity, "The app needs no account", false},
		{invite.CodePhoneTypeUnsupported, http.StatusUnprocessableEntity, "This kind of phone number takes no text messages", false},
		{invite.CodeReturnURLNotAllowed, http.StatusUnprocessableEntity, "The return URL is not on the project's list", false},
		{invite.CodeRateLimited, http.StatusTooManyRequests, "Too many requests", true},
		{invite.CodeLimitExceeded, http.StatusTooManyRequests, "A sending limit is reached", false},
		{invite.CodeCountryNotAllowed, http.StatusUnprocessableEntity, "The project sends no text messages to this country", false},
		{invite.CodeNumberTypeNotAllowed, http.StatusUnprocessableEntity, "The project sends no text messages to this kind of number", false},
		{invite.CodeCountryPaused, http.StatusForbidden, "Text messages to this country are paused", false},
		{invite.CodeKeyPaused, http.StatusForbidden, "The API key is paused", false},
		{invite.CodeResendTooSoon, http.StatusTooManyRequests, "The last message is too recent", true},
		{invite.CodeMintFailed, http.StatusBadGateway, "Pipedream refused to issue a connect token", false},
		{invite.CodeUnavailable, http.StatusServiceUnavailable, "Temporarily unavailable", true},
		{invite.CodeInternal, http.StatusInternalServerError, "Something went wrong on our side", false},
	}
}

// KindOf finds the entry of a code; ok is false for an unknown code.
func KindOf(code invite.Code) (k Kind, ok bool) {
	kinds := Kinds()
	i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Code == code })
	if i < 0 {
		return Kind{}, false
	}
	return kinds[i], true
}
