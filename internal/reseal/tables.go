package reseal

import (
	"encoding/json"
	"slices"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/sandbox"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/store/keyring"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/suppression"
	"github.com/connectlink/connectlink/internal/store/userid"
	"github.com/connectlink/connectlink/migrations"
)

// SQL expressions of places.
const (
	ofProject = "project_id"
	isLive    = "livemode::text"
	isActive  = "(lifted_at IS NULL)::text"
)

func (r row) place() invite.Place {
	return invite.Place{Project: r.texts[ofProject], Live: r.is(isLive)}
}

// tables are all columns of bytes of the database: those that are renewed, those that
// wait for the end of their rows, and those that depend on no key, with the reason. A
// test compares them with the schema.
func tables() []table {
	return append(productTables(), sandboxTables()...)
}

const digest = "a plain digest of a random secret"

func productTables() []table {
	return []table{
		invites(),
		{
			name: "public.search_terms", unique: true, renew: renewTerms,
			hashed: []hashed{{name: "hash", id: "invite_id"}},
		},
		{
			name: "public.connect_links", sealed: []sealed{{name: "url"}},
			plain: []plain{{"token_digest", digest}, {"webhook_digest", digest}},
		},
		{name: "public.codes", sealed: []sealed{{name: "code"}}, plain: []plain{{"digest", digest}}},
		{name: "public.attempts", sealed: []sealed{{name: "detail"}}},
		{name: "public.events", sealed: []sealed{{name: "detail"}}},
		{name: "public.public_events", sealed: []sealed{{name: "body"}}},
		{name: "public.callbacks", sealed: []sealed{{name: "body"}}},
		{name: "public.connections", sealed: []sealed{{name: "error", id: "invite_id"}}},
		suppressions(),
		staff(),
		{name: "public.invite_notes", sealed: []sealed{{name: "text"}}},
		{name: "public.saved_views", sealed: []sealed{{name: "content"}}},
		{name: "public.bulk_items", sealed: []sealed{{name: "address"}}},
		{name: "public.staff_searches", sealed: []sealed{{name: "text"}}},
		{name: "public.webhook_endpoints", sealed: []sealed{{name: "content"}}},
		{name: "public.webhook_attempts", sealed: []sealed{{name: "answer"}}},
		passcodes(),
		{
			name: "public.idempotency", texts: []string{"(created_at < now() - interval '24 hours')::text"},
			plain:  []plain{{"key_hash", "a plain digest, looked up with the API key's id"}},
			hashed: []hashed{{name: "body_mac", waits: "they end 24 hours after their request"}},
			isOver: func(r row) bool { return r.is("(created_at < now() - interval '24 hours')::text") },
		},
		sendingUses(),
		{name: "public.limit_notices", plain: []plain{{"subject", "the name of a project, key, country or block of numbers"}}},
		{name: "public.app_logos", plain: []plain{{"image", "a public picture of an app"}}},
		{name: "public.api_keys", plain: []plain{{"digest", digest}}},
		{name: "public.client_tokens", plain: []plain{{"digest", digest}}},
		{
			name: "public.staff_sessions", sealed: []sealed{{name: "held_form"}},
			plain: []plain{{"digest", digest}, {"issuer_session", digest}},
		},
		{name: "public.staff_totp", sealed: []sealed{{name: "secret", id: "staff_id"}}},
		{name: "public.staff_recovery_codes", plain: []plain{{"digest", digest}}},
		{name: "public.single_uses", plain: []plain{{"digest", digest}}},
		{
			name: "public.sign_in_failures", texts: []string{"(locked_until IS NULL OR locked_until < now())::text"},
			hashed: []hashed{{name: "tried_by", waits: "locks of sign-ins end within an hour"}},
			isOver: func(r row) bool { return r.is("(locked_until IS NULL OR locked_until < now())::text") },
		},
		{
			name: "public.refused_sign_ins", texts: []string{"(began_at < now() - interval '1 hour')::text"},
			hashed: []hashed{{name: "subject", waits: "refused sign-ins are counted for an hour"}},
			isOver: func(r row) bool { return r.is("(began_at < now() - interval '1 hour')::text") },
		},
		{name: "public.staff_links", plain: []plain{{"digest", digest}}},
		{name: "public.test_sends", plain: []plain{{"form", digest}}},
		{name: "public.seen", plain: []plain{{"key", "a plain digest of a callback"}}},
		{name: "public.pipedream_budgets", plain: []plain{{"credentials", "a plain digest of a client's id"}}},
		{name: "public.audit_chain", plain: []plain{{"hash", "a plain digest of the log's entries"}}},
		{name: "public.audit_heads", plain: []plain{{"hash", "a plain digest of the log's entries"}}},
		{name: "public.audit", plain: []plain{{
			"place", "the log is append-only; the hash is only compared by people, within days, and looked up by nothing",
		}}},
	}
}

func invites() table {
	const user = "external_user_id"
	external := func(r row) string {
		if v, ok := r.opened["sealed_user_id"]; ok {
			return v
		}
		return r.texts[user]
	}
	return table{
		name:   "public.invites",
		sealed: []sealed{{name: "content"}, {name: "account_name"}, {name: "sealed_user_id"}},
		texts:  []string{ofProject, isLive, user, "(sealed_user_id IS NOT NULL)::text"},
		hashed: []hashed{{name: "user_hash", hashes: func(box *seal.Box, r row) ([]seal.Hash, bool) {
			if r.is("(sealed_user_id IS NOT NULL)::text") && r.value("sealed_user_id") == nil {
				return nil, true // it does not open
			}
			return userid.Hashes(box, r.place(), external(r)), true
		}}},
		plain: []plain{{"trace", "the random ids of a trace and of a span in it"}},
		set: func(_ *seal.Box, r row, set map[string]any) {
			if h, ok := set["user_hash"].(seal.Hash); ok && r.value("sealed_user_id") != nil {
				set[user] = userid.Placeholder(h)
			}
		},
		after: func(s *Service, b *batch, r row) { s.collectUses(b, r, external(r)) },
	}
}

func suppressions() table {
	return table{
		name:   "public.suppressions",
		sealed: []sealed{{name: "address"}, {name: "note"}, {name: "lift_note"}, {name: "seed"}},
		texts:  []string{ofProject, isLive, "channel", "kind", "sender", isActive},
		unique: true,
		hashed: []hashed{{name: "hash", hashes: func(box *seal.Box, r row) ([]seal.Hash, bool) {
			return suppression.RowHashes(box, r.place(), invite.Channel(r.texts["channel"]), invite.Block(r.texts["kind"]), r.texts["sender"],
				r.value("address"), r.value("seed"))
		}}},
		before: keepSevereTwins,
		set: func(_ *seal.Box, _ row, set map[string]any) {
			h, ok := set["hash"].(seal.Hash)
			if !ok {
				return
			}
			// Processes with different primary keys may have stored one twice. Only one may
			// stand; keepSevereTwins has made way for this one if it weighs more.
			const twin = `lifted_at IS NULL AND EXISTS (SELECT FROM suppressions o WHERE o.hash = $::bytea AND o.lifted_at IS NULL)`
			set["lifted_at"] = keyring.Expr{SQL: `CASE WHEN ` + twin + ` THEN now() ELSE lifted_at END`, Arg: h}
			set["lifted_by"] = keyring.Expr{SQL: `CASE WHEN ` + twin + ` THEN 'system' ELSE lifted_by END`, Arg: h}
		},
	}
}

// keepSevereTwins lifts the blocks that stand under the new hashes of rows that weigh
// more, and orders the rows of a batch, which may be twins too.
func keepSevereTwins(b *batch, changes []keyring.Change) error {
	kind, active := slices.Index(b.table.texts, "kind"), slices.Index(b.table.texts, isActive)
	milder := func(c keyring.Change) []invite.Block { return invite.Block(c.Row.Texts[kind]).Milder() }
	slices.SortStableFunc(changes, func(c, d keyring.Change) int { return len(milder(d)) - len(milder(c)) })
	for _, c := range changes {
		h, ok := c.Set["hash"].(seal.Hash)
		if !ok || c.Row.Texts[active] != "true" {
			continue
		}
		if _, err := suppression.SetReplaced(b.ctx, b.tx, h, milder(c)); err != nil {
			return err
		}
	}
	return nil
}

func staff() table {
	return table{
		name:   "public.staff",
		sealed: []sealed{{name: "profile"}, {name: "login"}},
		texts:  []string{"kind"},
		unique: true,
		hashed: []hashed{{
			name: "login_hash",
			hashes: func(box *seal.Box, r row) ([]seal.Hash, bool) {
				login, ok := loginOf(r)
				if !ok {
					return nil, true
				}
				return login.Hashes(box), true
			},
			waits: "accounts of single sign-on from before the column login: each is renewed when its person signs in",
		}},
		set: func(box *seal.Box, r row, set map[string]any) {
			login, ok := loginOf(r)
			if _, renewed := set["login_hash"]; !renewed || !ok || r.value("login") != nil {
				return
			}
			if copied, err := login.Seal(box, invite.OfUUID[invite.StaffID](r.ids["login"])); err == nil {
				set["login"] = copied
			}
		},
	}
}

// loginOf returns what an account is found by: its sealed copy or, of an account from
// before there was one, what the profile tells.
func loginOf(r row) (account.Login, bool) {
	var login account.Login
	if v := r.value("login"); v != nil {
		return login, json.Unmarshal(v, &login) == nil
	}
	var person struct{ Name, Email string }
	if v := r.value("profile"); v == nil || json.Unmarshal(v, &person) != nil {
		return login, false
	}
	switch kind := r.texts["kind"]; kind {
	case account.ByPassword:
		return account.NewLogin(kind, "", person.Email), true
	case account.ByLink:
		return account.NewLogin(kind, "", person.Name), true
	}
	return login, false // of an issuer: its name for the person is not in the profile
}

func passcodes() table {
	const expired = "(expires_at < now())::text"
	return table{
		name:   "public.passcodes",
		sealed: []sealed{{name: "digits", id: "delivery_id"}},
		texts:  []string{expired},
		hashed: []hashed{{
			name: "hash",
			hashes: func(box *seal.Box, r row) ([]seal.Hash, bool) {
				digits := r.value("digits")
				if digits == nil {
					return nil, true
				}
				return ledger.PasscodeHashes(box, invite.OfUUID[invite.DeliveryID](r.ids["digits"]), string(digits)), true
			},
			waits: "they end with their passcode, within minutes",
		}},
		isSpent: func(r row) bool { return r.is(expired) },
	}
}

func sendingUses() table {
	const over = "(used_at < now() - interval '1 day' AND coalesce(extra_until < now(), true))::text"
	return table{
		name:  "public.sending_uses",
		texts: []string{over}, unique: true,
		hashed: []hashed{{
			name: "subject", where: "scope IN ('recipient', 'user')",
			waits: "they end 24 hours after the last message to their person",
		}},
		isOver: func(r row) bool { return r.is(over) },
	}
}

func sandboxTables() []table {
	return []table{
		{name: "sandbox.deployment", sealed: []sealed{{name: "credentials", id: "'" + sandbox.DeploymentID().String() + "'"}}},
		{
			name: "sandbox.messages", sealed: []sealed{{name: "content"}},
			texts: []string{"(content IS NULL)::text"},
			hashed: []hashed{{name: "to_hash", hashes: func(box *seal.Box, r row) ([]seal.Hash, bool) {
				to, ok := sandbox.RecipientOf(r.value("content"))
				if !ok {
					return nil, true
				}
				return sandbox.AddressHashes(box, to), true
			}}},
			isSpent: func(r row) bool { return r.is("(content IS NULL)::text") },
		},
		{name: "sandbox.events", sealed: []sealed{{name: "payload"}}},
		{name: "sandbox.journeys", sealed: []sealed{{name: "state"}}},
		{name: "sandbox.connect_tokens", sealed: []sealed{{name: "content"}}, plain: []plain{{"digest", digest}}},
		{
			name: "sandbox.accounts", sealed: []sealed{{name: "content"}},
			hashed: []hashed{{name: "user_hash", hashes: func(box *seal.Box, r row) ([]seal.Hash, bool) {
				user, ok := sandbox.UserOf(r.value("content"))
				if !ok {
					return nil, true
				}
				return sandbox.UserHashes(box, user), true
			}}},
		},
		{
			// What a script did to a test recipient so far. An hour later no test goes on.
			name: "sandbox.scripts", texts: []string{"(since < now() - interval '1 hour')::text"}, unique: true,
			hashed: []hashed{{name: "key_hash", waits: "scripts of test mode, for an hour"}},
			isOver: func(r row) bool { return r.is("(since < now() - interval '1 hour')::text") },
		},
		{
			// That a test address was taken off the vendor's list; it is on it again.
			name: "sandbox.suppressions", unique: true, hashed: []hashed{{name: "address_hash"}},
			isOver: func(row) bool { return true },
		},
	}
}

// elsewhere are values that are in no column of bytes: they are counted, and wait for
// the end of their rows.
func elsewhere() []counted {
	return []counted{{
		table: migrations.RiverSchema + ".river_job",
		column: keyring.Column{
			Name: "args", Half: keyring.Sealing,
			Value: "CASE WHEN kind = 'publish' AND args ? 'body' THEN decode(args ->> 'body', 'base64') END",
		},
		waits: "events that an old version queued: they end with their delivery",
	}}
}

// counted is a column that rows are counted by.
type counted struct {
	table  string
	column keyring.Column
	waits  string
}

func (c counted) name() string { return c.table + "." + c.column.Name }

// allCounted are all columns that depend on a key.
func allCounted() []counted {
	var out []counted
	for _, t := range tables() {
		k := t.columns()
		for i, c := range k.Columns {
			waits := ""
			if i >= len(t.sealed) {
				waits = t.hashed[i-len(t.sealed)].waits
			}
			out = append(out, counted{t.name, c, waits})
		}
	}
	return append(out, elsewhere()...)
}
