package httpapi

import (
	"encoding/json"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/web"
)

// advice is what the documentation says of an error code.
type advice struct{ means, do string }

// errorAdvice has an entry for every code; a test compares.
func errorAdvice() map[invite.Code]advice {
	return map[invite.Code]advice{
		invite.CodeMalformed: {
			"The body could not be read: it is cut off, its chunks are malformed, or it is no JSON, not UTF-8, holds a NUL character, or is nested too deeply.",
			"Look at the line and column in `detail`. Build the body with a JSON library instead of joining strings."},
		invite.CodeAuthenticationRequired: {
			"The request carries no API key, or carries it in the wrong form.",
			"Send `Authorization: Bearer cl_test_…`, once. Keys are made with `connectlink keys create`."},
		invite.CodeInvalidAPIKey: {
			"The key is mistyped, unknown, expired or revoked.",
			"Check that the whole key was copied. If it was revoked, make a new one. Trying again changes nothing."},
		invite.CodeInsufficientScope: {
			"The key is valid, but was not given the scope this endpoint needs; `detail` names it.",
			"Make a key with that scope. Scopes do not imply one another."},
		invite.CodeTestKeyRequired: {
			"Test helpers show and move invites of test mode. This key is a live one.",
			"Use a key that begins with `cl_test_`."},
		invite.CodeNotFound: {
			"No endpoint has this path.",
			"Compare the path with the list in /docs."},
		invite.CodeInviteNotFound: {
			"No invite with this id belongs to the key's project and mode. Invites of other projects, and of live mode when the key is a test one, are answered alike.",
			"Check the id, and that it was made with a key of the same project and mode."},
		invite.CodeDeliveryNotFound: {
			"No delivery with this id belongs to the key's project and mode.",
			"Take the id from `delivery.id` of the invite or from its list of deliveries."},
		invite.CodeMessageNotFound: {
			"No message of test mode has this id, or the delivery has not left yet.",
			"Wait until the delivery is `accepted`, or take the id from the list of messages."},
		invite.CodeSuppressionNotFound: {
			"No block with this id belongs to the key's project and mode, nor to the number that its texts come from.",
			"Take the id from the list of suppressions."},
		invite.CodeMethodNotAllowed: {
			"The path exists, the method does not.",
			"The `Allow` header lists the methods."},
		invite.CodeActiveInviteExists: {
			"The request said `if_active: error`, and this user has an open invite for this app. `invite_id` names it.",
			"Resend that invite, or ask with `if_active: return` or `replace`."},
		invite.CodeNotResendable: {
			"The invite is connected, revoked or still scheduled, so there is nothing to send again.",
			"Read the invite. If it was revoked, make a new one."},
		invite.CodeNotRevocable: {
			"The invite is connected: its link is spent.",
			"To end the access, delete the account at Pipedream."},
		invite.CodeVerificationRequired: {
			"The invite was made with `verify: code`: its recipient has to enter a code that is sent to them before they are given a link, and only the invite link's page asks for it.",
			"Let the person open the link of their message in a browser. For people who are signed in to your product anyway, make invites with `verify: none`."},
		invite.CodeInviteEnded: {
			"The invite is expired, revoked or replaced, so nothing can be connected through it.",
			"Resend an expired invite or make another, then ask for a new client token."},
		invite.CodeIdempotencyInProgress: {
			"A request with the same Idempotency-Key has not been answered yet.",
			"Wait as long as `Retry-After` says and send the same request again."},
		invite.CodeAlreadyConnected: {
			"The user has connected this account already, through this invite or another.",
			"Read the invite; `connection.account_id` is what you need."},
		invite.CodeTooLarge: {
			"The body is larger than the endpoint takes.",
			"Send less; `detail` says how much is taken."},
		invite.CodeUnsupportedMedia: {
			"The headers say that the body is something else than plain JSON in UTF-8.",
			"Send `Content-Type: application/json` and no `Content-Encoding`."},
		invite.CodeInvalidRequest: {
			"One or more fields, parameters or headers are at fault.",
			"`errors` lists every fault with its place, and with the name that was probably meant. Correct them all, then send again."},
		invite.CodeIdempotencyReused: {
			"This Idempotency-Key was used before, for a request with another body.",
			"Use a new key for a new request. To repeat a request, send the same values; their order and spacing do not count."},
		invite.CodeNotYet: {
			"The field or endpoint is announced, but not built yet. Nothing was done.",
			"Leave it out. It is refused so that you do not count on what does not happen."},
		invite.CodeRecipientSuppressed: {
			"The address is blocked, because a message to it failed for good or its owner complained.",
			"Use another address or channel. Staff can lift a block once the address is right."},
		invite.CodeRecipientOptedOut: {
			"The person replied STOP to a text message, or unsubscribed from our emails. Messages to this address are not allowed.",
			"Use the other channel. Only the person can undo it."},
		invite.CodeRecipientNotListed: {
			"The key works with Pipedream's development environment, in which only your own team can connect accounts.",
			"Add the address to the project's `development_recipients`, or use a key for production or for test mode."},
		invite.CodeConsentMissing: {
			"The project sends text messages only with evidence of the person's consent.",
			"Send `recipient.sms_consent` with `source` and, if you know it, `obtained_at`."},
		invite.CodeUnknownApp: {
			"Pipedream knows no app with this name slug.",
			"Look the slug up at pipedream.com/apps: the last part of the app's address, for example `google_sheets`."},
		invite.CodeAppNeedsNoAccount: {
			"The app works without an account, so there is nothing to connect.",
			"Use the app without an invite."},
		invite.CodePhoneTypeUnsupported: {
			"The number is a landline, a premium number or of another kind that gets no text messages.",
			"Ask for a mobile number, or use email."},
		invite.CodeReturnURLNotAllowed: {
			"`return_url` is not on the project's list. The list keeps links in our name from leading anywhere.",
			"Add the address to the project's `return_urls`: an https prefix or a custom scheme."},
		invite.CodeRateLimited: {
			"Too many requests of this kind came in a short time.",
			"Wait as long as `Retry-After` says."},
		invite.CodeResendTooSoon: {
			"The last message has not left yet, or left a moment ago.",
			"Wait as long as `Retry-After` says, and look at the invite first: the message may have arrived."},
		invite.CodeMintFailed: {
			"Pipedream refused for good to issue a connect token: credentials, project or environment are not right. Nothing was stored.",
			"Run `connectlink doctor`; it asks Pipedream and says what is wrong."},
		invite.CodeUnavailable: {
			"The database or something else that is needed cannot be reached right now. Whether the request took effect may be unknown.",
			"Send the same request again after `Retry-After`. With an Idempotency-Key nothing is done twice."},
		invite.CodeInternal: {
			"A fault of ours. It is in our log, with the request's id.",
			"Quote `request_id` when you report it. If you sent an Idempotency-Key, the same request may safely be sent again."},
	}
}

// failures joins the table of statuses with the advice for each code.
func (d *docs) failures() []failureView {
	advice := errorAdvice()
	var out []failureView
	for _, k := range web.Kinds() {
		a := advice[k.Code]
		p := web.Problem{
			Type: d.publicURL + "/docs/errors/" + string(k.Code), Title: k.Title, Status: k.Status, Detail: k.Title + ".",
			Instance: "/requests/req_069hqkhjp5sv1bqg1oprs35ep0", Code: k.Code, RequestID: "req_069hqkhjp5sv1bqg1oprs35ep0", Retryable: k.Retryable,
		}
		if k.Code == invite.CodeInvalidRequest {
			p.Errors = []invite.Fault{{Pointer: "/chanel", Code: invite.FaultUnknownField, Detail: "is not a field here; did you mean channel?", Suggestion: "channel"}}
		}
		if k.Retryable {
			at := time.Date(2026, 11, 23, 15, 4, 5, 0, time.UTC)
			p.RetryAt = &at
		}
		example, err := json.MarshalIndent(p, "", "  ")
		if err != nil {
			example = nil // a Problem always marshals; the page then goes without
		}
		out = append(out, failureView{
			Code: string(k.Code), Title: k.Title, Means: a.means, Do: a.do, Status: k.Status, Retryable: k.Retryable, Example: string(example),
		})
	}
	return out
}
