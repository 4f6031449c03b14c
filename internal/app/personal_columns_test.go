package app_test

import (
	"strings"
	"testing"
)

// holds is what a column can hold of a person.
type holds string

const (
	// ofRecipient: data of a recipient, or the id of the user who is one, plain or sealed. It
	// is exported and erased.
	ofRecipient holds = "recipient"
	// keyedHash: a keyed hash of such data, or of a secret link; erased unless kept says why not.
	keyedHash holds = "hash"
	// credential: a secret that leads to the person's invite. Erased, and never exported.
	credential holds = "credential"
	// ofStaff: data of people who use the console, or words that they typed about their acts.
	ofStaff holds = "staff"
	// nothing: ids, times, counts, codes, configuration, secrets of machines.
	nothing holds = "nothing"
)

// declaration lists the columns of a table by what they can hold. Each line begins with the
// kind. A column of the schema that is not declared fails the test: whoever adds one decides
// what it holds, and for recipients' data writes the export and the erasure.
const declaration = `
public.api_keys
	nothing id project_id name digest hint livemode environment scopes created_at last_used_at expires_at revoked_at last_used_from replaces end_told
public.app_logos
	nothing source digest image media_type wanted_at next_at
public.attempts
	recipient detail
	nothing invite_id delivery_id id number provider account template_version lease_token outcome started_at finished_at provider_message_id http_status provider_code link_id after_seq
public.audit
	staff why data session_id place
	nothing id at project_id livemode actor act target invite_id request_id
public.audit_chain
	nothing number entry_id hash chained_at
public.audit_heads
	nothing day number hash
public.audit_pending
	nothing entry_id
public.bulk_acts
	nothing project_id livemode id staff_id act channel valid_for_s selection state items emails texts cost created_at confirmed_at ended_at stopped_by due_at lease_until
public.bulk_items
	recipient address
	nothing project_id livemode bulk_id number line id invite_id state reason doubt next_at over_at
public.callback_gaps
	nothing scope cause ended_at
public.callback_servers
	nothing id seen_at
public.callbacks
	recipient body
	nothing id provider invite_id received_at
public.client_tokens
	credential digest
	nothing invite_id key_id expires_at created_at
public.codes
	credential code
	nothing invite_id id delivery_id digest retired_at created_at
public.connect_links
	credential url
	nothing invite_id id token_digest webhook_digest granted_s expires_at expires_at_raw minted_at handed_out_at spent_at
public.connections
	recipient error
	nothing project_id livemode environment account_id invite_id status reason since checked_at next_at reconnect_at
public.count_cursors
	nothing project_id livemode feed xact id
public.count_places
	nothing project_id livemode complete_at mark marked_at
public.database_identity
	nothing only_row system timeline recorded_at
public.deliveries
	nothing invite_id id number project_id livemode channel kind status ended_at reason provider_code provider lane next_at lease_token lease_owner attempts poisoned created_at updated_at failure delivered_at restored_at
public.event_counts
	nothing project_id livemode bucket type n
public.events
	recipient detail
	nothing invite_id seq id project_id livemode type actor actor_id delivery_id attempt_id link_id data occurred_at created_at txid
public.excursions
	nothing id project_id livemode kind value threshold raised_at resolved_at
public.goose_db_version
	nothing id version_id is_applied tstamp
public.idempotency
	hash body_mac
	nothing key_id route key_hash invite_id status created_at
public.invite_counts
	nothing project_id livemode day channel app_slug created sent delivered opened continued connected connect_times
public.invite_notes
	recipient text
	nothing id invite_id staff_id written_at
public.invite_owners
	nothing invite_id project_id livemode staff_id taken_at
public.invites
	recipient external_user_id content account_name sealed_user_id
	hash user_hash
	nothing id project_id livemode environment status progress channel link_type initiated_by app_slug app_name app_logo_url app_auth_type oauth_app_id expires_in_s valid_for_s expires_at gives_up_at seq resend_count replaced_by account_id connected_at first_handed_out_at last_handed_out_at poll_at poll_count poll_until wiped_at created_by created_at updated_at revoked_at fallback_channel fallback_after fallback_delay_s fallback_at send_at erased_at reminders reminded remind_at verify kind reconnect_account reconnect_of watched trace
public.key_reports
	nothing project_id key_id invite_id kind reported_at
public.keyset_keys
	nothing half key_id first_at used_at cleared_at
public.keyset_processes
	nothing process sealing hashing seen_at
public.lanes
	staff held_why
	nothing lane paused_until held_at held_by
public.limit_notices
	nothing day scope subject measure level used most raised_at told_at
public.message_counts
	nothing project_id livemode bucket provider domain accepted delivered failed deferred refused accept_times deliver_times
public.message_wordings
	staff subject lead button
	nothing project_id livemode version language situation did of_version author created_at
public.passcodes
	nothing invite_id delivery_id hash digits tries expires_at passed_at created_at
public.pipedream_budgets
	nothing credentials full_at rest_until
public.provider_accounts
	nothing account failures trips open_until probe_until tokens filled_at last_receipt_at last_receipt_for updated_at
public.public_events
	recipient body
	nothing id xact project_id livemode type invite_id sequence created_at
public.queue_samples
	nothing project_id livemode channel at due oldest_s
public.redactions
	nothing invite_id attempt_id project_id livemode message_id remove next_at tries redacted_at removed_at gave_up_at created_at provider
public.refused_sign_ins
	staff subject
	nothing refusals began_at
public.reseals
	nothing table_name sealing_key hashing_key pass block blocks renewed skipped started_at updated_at finished_at
public.restores
	nothing id declared_at deliveries reminders fallbacks
public.saved_views
	staff content
	nothing project_id livemode id staff_id team created_at
public.search_terms
	hash hash
	nothing invite_id
public.seen
	nothing source key seen_at
public.sending_pauses
	staff why
	nothing id project_id livemode scope subject source paused_by figures paused_at resumed_by resumed_at
public.sending_uses
	hash subject
	nothing scope day messages cost times extra extra_until used_at use added added_cost
public.sign_in_failures
	staff tried_by
	nothing failures locked_until updated_at
public.single_uses
	nothing digest expires_at
public.staff
	staff login_hash profile password login
	nothing id kind failures locked_until created_at signed_in_at disabled_at factor_reset_at
public.staff_links
	nothing digest staff_id expires_at purpose
public.staff_recovery_codes
	nothing staff_id digest used_at
public.staff_roles
	nothing staff_id project_id role
public.staff_searches
	recipient text
	nothing id session_id created_at
public.staff_sessions
	recipient held_form
	staff device flash
	nothing id staff_id digest method created_at seen_at ended_at ended_why confirmed_at checked_at issuer_session held_at
public.staff_totp
	nothing staff_id secret last_step failures locked_until created_at
public.suppressions
	recipient address note lift_note
	hash hash seed
	nothing id project_id livemode channel kind sender source invite_id created_by created_at lifted_at lifted_by
public.text_baselines
	nothing project_id country slot sent visits learned_at
public.text_traffic
	nothing project_id area country bucket sent offset_s visits
public.test_sends
	nothing id staff_id form provider outcome reason started_at
public.unmatched
	nothing callback_id project_id livemode invite_ref attempt_ref tries next_at gives_up_at
public.webhook_attempts
	recipient answer
	nothing id endpoint_id event_id number status failure took_ms created_at
public.webhook_deliveries
	nothing endpoint_id event_id next_at attempts delivered_at
public.webhook_endpoints
	nothing id project_id livemode types content old_secret_until failing_since disabled_at disabled_why created_at updated_at managed_by
river.river_job
	nothing id state attempt max_attempts attempted_at created_at finalized_at scheduled_at priority args attempted_by errors kind metadata queue tags unique_key unique_states
river.river_leader
	nothing elected_at expires_at leader_id name
river.river_migration
	nothing line version created_at
river.river_notification
	nothing id created_at payload topic
river.river_queue
	nothing name created_at metadata paused_at updated_at
sandbox.accounts
	recipient content
	hash user_hash
	nothing id project_id environment app oauth_app_id created_at updated_at healthy dead error
sandbox.connect_tokens
	recipient content
	nothing digest id project_id environment app oauth_app_id scope created_at expires_at spent_at
sandbox.deployment
	nothing singleton credentials created_at
sandbox.events
	recipient payload
	nothing id message_id source name extra happened_at due_at tries answer
sandbox.faults
	nothing account vendor kind ends_at
sandbox.journeys
	credential state
	nothing id message_id kind slow step due_at tries created_at
sandbox.messages
	recipient content
	hash to_hash
	nothing id channel attempt_id invite_id fate step due_at status error_code created_at updated_at sent_at deleted_at
sandbox.scripts
	hash key_hash
	nothing kind uses since
sandbox.suppressions
	hash address_hash
	nothing list reason status created_at lifted_at
`

// kept are the hashes, and the data, that an erasure leaves, with the reason and the time.
func kept() map[string]string {
	return map[string]string{
		"public.suppressions.hash":          "a person who opted out must not be written to again",
		"public.suppressions.seed":          "what the hash is renewed from when the keyset is rotated: a sealed digest",
		"public.sending_uses.subject":       "limits on messages to one person; deleted within a day or two after the last one",
		"public.idempotency.body_mac":       "a retry of the request must not send again; 48 hours",
		"public.staff_sessions.held_form":   "a form that waits for the confirmation of its sender; one hour",
		"sandbox.suppressions.address_hash": "stands for the provider's own list, in test mode",
		"sandbox.scripts.key_hash":          "how often a scripted recipient of test mode has acted; 30 days",
	}
}

// notExported are the columns of recipients' data that an export leaves out, with the reason.
func notExported() map[string]string {
	return map[string]string{
		"public.public_events.body":       "the invite as it was, which the record and its timeline show",
		"public.webhook_attempts.answer":  "what the product's own endpoint answered",
		"public.bulk_items.address":       "a corrected address until it is in the invite; at most some hours",
		"public.staff_searches.text":      "a note to a member of staff, for 30 minutes",
		"public.staff_sessions.held_form": "a form that was not sent yet, for an hour",
		"sandbox.accounts.content":        "stands for what Pipedream keeps, in test mode",
		"sandbox.connect_tokens.content":  "stands for what Pipedream keeps, in test mode",
		"sandbox.events.payload":          "stands for what Pipedream posts, in test mode",
		"sandbox.messages.content":        "stands for what providers keep, in test mode",
	}
}

// declared reads the declaration: a column as schema.table.column.
func declared(t *testing.T) map[string]holds {
	t.Helper()
	out := map[string]holds{}
	table := ""
	for line := range strings.SplitSeq(strings.TrimSpace(declaration), "\n") {
		if !strings.HasPrefix(line, "\t") {
			table = line
			continue
		}
		words := strings.Fields(line)
		switch holds(words[0]) {
		case ofRecipient, keyedHash, credential, ofStaff, nothing:
		default:
			t.Fatalf("%s: %q is no kind", table, words[0])
		}
		for _, c := range words[1:] {
			if _, twice := out[table+"."+c]; twice {
				t.Errorf("%s.%s is declared twice", table, c)
			}
			out[table+"."+c] = holds(words[0])
		}
	}
	return out
}
