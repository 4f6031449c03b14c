package app_test

import (
	"net/http"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
)

// plant puts a sealed word into a column of a person's rows that test mode does not fill.
func (p *product) plant(column, word, id, where string) {
	p.t.Helper()
	keyset, err := seal.ParseKeyset(secret.New(p.seal))
	if err != nil {
		p.t.Fatal(err)
	}
	box, err := seal.NewBox(keyset)
	if err != nil {
		p.t.Fatal(err)
	}
	table, name, _ := strings.Cut(column, ".")
	conn, err := pgx.Connect(p.t.Context(), p.db)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = conn.Close(p.t.Context()) }()
	rows, _ := conn.Query(p.t.Context(), `SELECT DISTINCT `+id+` FROM `+table+` WHERE `+where)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil || len(ids) == 0 {
		p.t.Fatalf("%s: no row to put a word into (%v)", column, err)
	}
	for _, one := range ids {
		sealed, err := box.Seal([]byte(word), seal.AD{Column: column, ID: one})
		if err != nil {
			p.t.Fatal(err)
		}
		if _, err := conn.Exec(p.t.Context(), `UPDATE `+table+` SET `+name+` = $1 WHERE `+id+` = $2`, sealed, one); err != nil {
			p.t.Fatal(err)
		}
	}
}

// zebraFills drives the product until the person's data stands in each declared column.
func (p *product) zebraFills() {
	t := p.t
	t.Helper()
	person := func(body object) object {
		body["external_user_id"], body["reason"], body["note"] = "user-"+zebra, "so that "+zebra+" can", "note "+zebra
		body["inviter"], body["metadata"] = object{"name": "Sam " + zebra}, object{zebra: zebra}
		return body
	}
	ended := func(id string) object {
		return p.until(id, "at its end", func(inv object) bool {
			return inv.text("status") == "connected" || inv.text("status") == "failed" || inv.text("progress") == "connect_failed"
		})
	}
	email := func(fate string) object {
		return person(object{"app": "slack", "channel": "email", "recipient": object{"email": fate + "+" + zebra + "@connectlink.test", "name": "Pat " + zebra}})
	}
	text := func(number string) object {
		return person(object{"app": "github", "channel": "sms", "recipient": object{"phone": number, "name": "Pat " + zebra}})
	}
	connected := p.invite(http.StatusCreated, email("delivered+connect")).text("id")
	ended(connected)
	if status, _, out := p.call(http.MethodPost, "/v1/test_helpers/invites/"+connected+"/advance", object{"to": "unhealthy"}); status != http.StatusOK {
		t.Fatalf("unhealthy: %d %v", status, out)
	}
	ended(p.invite(http.StatusCreated, email("delivered+deny")).text("id"))
	ended(p.invite(http.StatusCreated, email("bounced")).text("id"))
	ended(p.invite(http.StatusCreated, text("+15005550001")).text("id"))
	// STOP comes from a number that is corrected afterwards.
	stops := p.invite(http.StatusCreated, text("+12025550110")).text("id")
	p.eventually("the person has replied STOP", func() bool { return p.count(`SELECT count(*) FROM suppressions WHERE source = 'reply'`) == 1 })
	if status, _, out := p.call(http.MethodPost, "/v1/invites/"+stops+"/resend", object{"recipient": object{"phone": "+12025550100"}}); status != http.StatusOK {
		t.Fatalf("correct: %d %v", status, out)
	}
	p.until(stops, "sent to the corrected number", func(inv object) bool { return inv.text("delivery.status") == "delivered" })
	if status, _, out := p.call(http.MethodPost, "/v1/invites/"+stops+"/client_token", object{}); status != http.StatusOK && status != http.StatusCreated {
		t.Fatalf("client token: %d %v", status, out)
	}
	if status, _, out := p.scoped(access.Suppressions).call(http.MethodPost, "/v1/suppressions", object{"email": "delivered+connect+" + zebra + "@connectlink.test", "reason": "asked by " + zebra}); status >= 300 {
		t.Fatalf("suppress: %d %v", status, out)
	}
	agent := p.staff(access.RoleAgent)
	agent.do(http.MethodPost, "/console/default/test/search", "q=no+such+"+zebra)
	if status, _, _ := agent.do(http.MethodPost, "/console/default/test/invites/"+connected+"/notes", "text=call+"+zebra); status != http.StatusOK {
		t.Fatalf("note: %d", status)
	}
	if status, _, _ := agent.do(http.MethodPost, "/console/default/test/bulk/correct", "text="+stops+",delivered%2B"+zebra+"new@connectlink.test"); status != http.StatusOK {
		t.Fatalf("corrections: %d", status)
	}
	// What test mode does not fill, or not with the person's words.
	const mine = `(SELECT id FROM invites WHERE user_hash = (SELECT user_hash FROM invites WHERE external_user_id = 'user-` + zebra + `' LIMIT 1))`
	p.plant("attempts.detail", "550 <planted.detail@"+zebra+".example>", "id", "invite_id IN "+mine)
	p.plant("invites.account_name", "Workspace of "+zebra, "id", "account_name IS NOT NULL AND id IN "+mine)
	p.plant("connections.error", "the grant of "+zebra+" ended", "invite_id", "invite_id IN "+mine)
	p.plant("suppressions.lift_note", "wrong, says "+zebra, "id", "source <> 'reply'")
}
