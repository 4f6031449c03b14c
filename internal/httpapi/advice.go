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
			"The request could not be read: the body is truncated, its chunks are malformed, it is not JSON, or it is nested too deeply; or the body, the path or a query parameter contains NUL or is not UTF-8.",
			"Look at the line and column in `detail`, or at the parameters in `errors`. Build the body with a JSON library and the URL with a URL library instead of joining strings."},
		invite.CodeAuthenticationRequired: {
			"The request carries no API key, or carries it in the wrong form.",
			"Send `Authorization: Bearer cl_test_…`, once. Keys are made with `connectlink keys create`."},
		invite.CodeInvalidAPIKey: {
			"The key is mistyped, unknown, expired or revoked.",
			"Check that the whole key was copied. If it was revoked, create a new one. Retrying does not help."},
		invite.CodeInsufficientScope: {
			"The key does not have the scope that this endpoint needs; `detail` names it, and the scopes that the key has.",
			"Create a key with that scope. Scopes do not imply one another."},
		invite.CodeTestKeyRequired: {
			"Test helpers work on invites of test mode only. This key is a live key.",
			"Use a key that begins with `cl_test_`."},
		invite.CodeNotFound: {
			"No endpoint has this path.",
			"Compare the path with the list in /docs."},
		invite.CodeInviteNotFound: {
			"No invite with this id belongs to the key's project and mode. Invites of other projects, and of live mode for a test key, get the same answer.",
			"Check the id, and that the invite was created with a key of the same project and mode."},
		invite.CodeDeliveryNotFound: {
			"No delivery with this id belongs to the key's project and mode.",
			"Take the id from `delivery.id` of the invite or from its list of deliveries."},
		invite.CodeEventNotFound: {
			"No event with this id belongs to the key's project and mode, or it is older than 30 days.",
			"Take the id from `GET /v1/events` or from a webhook's body. Ids of an invite's timeline are other ids."},
		invite.CodeEndpointNotFound: {
			"No webhook endpoint with this id belongs to the key's project and mode.",
			"Take the id from `GET /v1/webhook_endpoints`."},
		invite.CodeManagedByConfiguration: {
			"The endpoint is the one of the service's configuration (`webhook.url`), which the API shows and does not change.",
			"Change the configuration, or create an endpoint of its own for what you need."},
		invite.CodeWebhookURLNotAllowed: {
			"Events are not posted to this URL: `detail` names the rule.",
			"Use a public https address, or have the operator set `webhook.allow_private` for the project."},
		invite.CodeMessageNotFound: {
			"No message of test mode has this id, or the delivery has not been sent yet.",
			"Wait until the delivery is `accepted`, or take the id from the list of messages."},
		invite.CodeSuppressionNotFound: {
			"No suppression with this id belongs to the key's project and mode, or to the number that its texts are sent from.",
			"Take the id from the list of suppressions."},
		invite.CodeMethodNotAllowed: {
			"The path exists, the method does not.",
			"The `Allow` header lists the methods."},
		invite.CodeActiveInviteExists: {
			"The request has `if_active: error`, and this user has an open invite for this app. `invite_id` names it.",
			"Resend that invite, or send `if_active: return` or `replace`."},
		invite.CodeNotResendable: {
			"The invite is connected, revoked or still scheduled, so there is nothing to resend.",
			"Read the invite. If it was revoked, create a new one."},
		invite.CodeNotConnected: {
			"A reconnect needs an account that was connected: the invite never was, its data was erased, or the user has no account of the app.",
			"Resend an open invite. For a user without an account, make an invite of kind `invite`; for one whose invite is gone, one of kind `reconnect` with the `account_id`."},
		invite.CodeNotRevocable: {
			"The invite is connected, so it can no longer be revoked.",
			"To end the access, delete the account at Pipedream."},
		invite.CodeNotExtendable: {
			"The invite has ended, is scheduled, or its message carries Pipedream's own link (`link_type: connect`). The detail names the field.",
			"Resend an expired invite or one with `link_type: connect`. Create a new invite for one that was revoked."},
		invite.CodeVerificationRequired: {
			"The invite has `verify: code`: the recipient must enter a code that is sent to them, and only the invite link's page asks for it.",
			"Let the person open the link of their message in a browser. For people who are signed in to your product, create invites with `verify: none`."},
		invite.CodeInviteEnded: {
			"The invite is expired, revoked or replaced, so it can no longer connect an account.",
			"Resend an expired invite or create another, then request a new client token."},
		invite.CodeIdempotencyInProgress: {
			"A request with the same Idempotency-Key is still in progress.",
			"Wait for the time in `Retry-After` and send the same request again."},
		invite.CodeAlreadyConnected: {
			"The user already connected this account, through this invite or another.",
			"Read the invite in `invite_id`, if there is one; its `connection.account_id` is the account. To invite the user once more, create without `if_connected`."},
		invite.CodeTooLarge: {
			"The body exceeds the endpoint's limit.",
			"Send a smaller body; `detail` gives the limit."},
		invite.CodeBatchTooLarge: {
			"The batch has more items than one request may carry. Nothing was stored.",
			"Send several batches; `detail` gives the limit."},
		invite.CodeUnsupportedMedia: {
			"The headers declare a body other than plain JSON in UTF-8.",
			"Send `Content-Type: application/json` and no `Content-Encoding`."},
		invite.CodeInvalidRequest: {
			"One or more fields, parameters or headers are invalid.",
			"`errors` lists every fault with its location, and a suggestion if there is one. Correct all of them, then send again."},
		invite.CodeIdempotencyReused: {
			"This Idempotency-Key was already used for a request with a different body.",
			"Use a new key for a new request. To repeat a request, send the same values; order and whitespace do not matter."},
		invite.CodeNotYet: {
			"The field or endpoint is announced, but not available yet. Nothing was done.",
			"Leave it out. It is rejected so that you do not rely on an effect that does not happen."},
		invite.CodeRecipientSuppressed: {
			"The address is suppressed, because a message to it failed permanently or the person complained.",
			"Use another address or channel. Staff can unblock the address if it is correct."},
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
			"Pipedream has no app with this name slug.",
			"Look the slug up with `GET /v1/apps?q=`, or at pipedream.com/apps: the last part of the app's address, for example `google_sheets`."},
		invite.CodeAppNeedsNoAccount: {
			"The app works without an account, so there is nothing to connect.",
			"Use the app without an invite."},
		invite.CodePhoneTypeUnsupported: {
			"The number is a landline, a premium number or another type that cannot receive text messages.",
			"Ask for a mobile number, or use email."},
		invite.CodeReturnURLNotAllowed: {
			"`return_url` is not on the project's list of allowed URLs.",
			"Add the address to the project's `return_urls`: an https prefix or a custom scheme."},
		invite.CodeRateLimited: {
			"Too many requests of this kind in a short time.",
			"Wait for the time in `Retry-After`."},
		invite.CodeLimitExceeded: {
			"A sending limit of the project is reached: `limit` is its name, `scope` the kind of subject that is counted, `max` its value and `remaining` the number of messages that are still allowed. Nothing was stored.",
			"Wait until `retry_at`, where it is given. `GET /v1/limits` lists all limits and their use; they are set in the configuration under `limits`."},
		invite.CodeCountryNotAllowed: {
			"The phone number belongs to a country that the project sends no text messages to. By default it sends to the country of `brand.region` only, because numbers abroad are used to earn money from text messages.",
			"Add the country to the project's `limits.sms_countries`, or use email."},
		invite.CodeNumberTypeNotAllowed: {
			"The number is a toll-free or personal number. Such numbers forward to other lines, and are used to earn money from text messages.",
			"Ask for a mobile number, or use email."},
		invite.CodeCountryPaused: {
			"Text messages to the number's country, or to numbers that begin alike, are paused: by staff, or by the spend firewall because people did not visit the messages. Nothing was stored. Messages that were accepted before wait.",
			"Use email, or ask a lead to look at the console's page Pauses and to resume. `GET /v1/pauses` lists the pauses."},
		invite.CodeKeyPaused: {
			"Recipients reported too many messages of this API key, so it is paused. Nothing was stored. Messages that were accepted before wait.",
			"Look at the reported invites on the console's page Pauses. A lead resumes the key there; revoke it if it has leaked."},
		invite.CodeResendTooSoon: {
			"The last message is still being sent, or was sent a moment ago.",
			"Wait for the time in `Retry-After`, and read the invite first: the message may have arrived."},
		invite.CodeMintFailed: {
			"Pipedream permanently refused to issue a connect token: check credentials, project and environment. Nothing was stored.",
			"Run `connectlink doctor`; it checks Pipedream and reports the problem."},
		invite.CodeUnavailable: {
			"The database or another dependency cannot be reached right now. It may be unknown if the request took effect.",
			"Send the same request again after `Retry-After`. With an Idempotency-Key, repeating it is safe."},
		invite.CodeInternal: {
			"Internal error. It is logged with the request's id.",
			"Quote `request_id` when you report it. With an Idempotency-Key, repeating the request is safe."},
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
