package dispatch_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/chaos"
	"github.com/connectlink/connectlink/internal/dispatch"
)

// F9: a transaction that the server ended for idling says nothing about its rows.
// The group is tried again as a group, under the same leases: giving each
// delivery back and claiming it again would multiply the load that caused it.
func TestF9GroupThatLostItsConnectionIsTriedAgainAsAGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`CREATE SEQUENCE faults`)
	w.exec(`CREATE FUNCTION end_first() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			IF nextval('faults') <= 2 THEN
				RAISE EXCEPTION 'terminating connection due to idle-in-transaction timeout' USING ERRCODE = '25P03';
			END IF;
			RETURN NULL;
		END $$`)
	w.exec(`CREATE TRIGGER end_first BEFORE INSERT ON attempts FOR EACH STATEMENT EXECUTE FUNCTION end_first()`)
	made := w.load(40, chaos.Load{})
	w.run(w.params(func(p *dispatch.Params) { p.Lease = time.Minute }))
	w.until("all are sent", func() bool {
		return w.count(`SELECT count(*) FROM deliveries WHERE status = 'accepted'`) == len(made)
	})
	if n := w.count(`SELECT count(*) FROM deliveries WHERE lease_token <> 1`); n > 0 {
		t.Errorf("%d deliveries were given back and claimed anew", n)
	}
}

// A row at fault harms itself only.
func TestF9RowAtFaultIsFoundByHalves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.load(40, chaos.Load{})
	bad := made[17].InviteID
	w.exec(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '22000'; END $$`)
	w.exec(`CREATE TRIGGER refuse BEFORE INSERT ON attempts FOR EACH ROW WHEN (NEW.invite_id = '` + fmt.Sprintf("%x", bad.UUID()) + `') EXECUTE FUNCTION refuse()`)
	w.run(w.params(func(p *dispatch.Params) { p.Lease = time.Minute }))
	w.until("the others are sent", func() bool {
		return w.count(`SELECT count(*) FROM deliveries WHERE status = 'accepted'`) == len(made)-1
	})
	if n := w.count(`SELECT count(*) FROM deliveries WHERE lease_token <> 1 AND status = 'accepted'`); n > 0 {
		t.Errorf("%d other deliveries were given back and claimed anew", n)
	}
}
