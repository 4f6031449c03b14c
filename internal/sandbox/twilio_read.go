package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// smsRow is what Twilio tells of a message besides its content.
type smsRow struct {
	ID        uuid.UUID
	Status    string
	ErrorCode *int32
	Content   []byte
	CreatedAt time.Time
	UpdatedAt time.Time
	SentAt    *time.Time
}

const smsColumns = `id, status, error_code, content, created_at, updated_at, sent_at`

func (s *Sandbox) findSMS(ctx context.Context, id uuid.UUID) (row smsRow, c content, found bool, err error) {
	rows, err := s.db.Query(ctx, `SELECT `+smsColumns+` FROM sandbox.messages
		WHERE id = $1 AND channel = 'sms' AND deleted_at IS NULL`, id)
	if err == nil {
		row, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[smsRow])
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return row, c, false, nil
	}
	if err != nil {
		return row, c, false, fmt.Errorf("read message %s: %w", id, err)
	}
	c, err = s.openContent(id, row.Content)
	return row, c, err == nil, err
}

// listSMS is GET Messages.json, newest first, a page at a time. Filters: To,
// From, DateSent and its two comparisons.
func (s *Sandbox) listSMS(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	size := intOr(q.Get("PageSize"), 50)
	page := intOr(q.Get("Page"), 0)
	if size < 1 || size > 1000 || page < 0 {
		twilioRefuse(w, http.StatusBadRequest, 20001, "Page size must be between 1 and 1000")
		return
	}
	var hashes [][]byte
	if to := q.Get("To"); to != "" {
		for _, h := range s.box.Hashes(addressHash, fold(to)) {
			hashes = append(hashes, h)
		}
	}
	from, until, err := sentBetween(q)
	if err != nil {
		twilioRefuse(w, http.StatusBadRequest, 20001, "DateSent must be YYYY-MM-DD")
		return
	}
	// PageToken pins the first page's newest row, so that messages taken
	// meanwhile do not shift the pages.
	pin := uuid.Max
	if id, ok := parseSMSSID("SM" + strings.TrimPrefix(q.Get("PageToken"), "PASM")); ok {
		pin = id
	}
	rows, err := s.db.Query(r.Context(), `SELECT `+smsColumns+` FROM sandbox.messages
		WHERE channel = 'sms' AND deleted_at IS NULL AND id <= $1
		  AND ($2::bytea[] IS NULL OR to_hash = ANY($2))
		  AND ($3::timestamptz IS NULL OR sent_at >= $3) AND ($4::timestamptz IS NULL OR sent_at < $4)
		ORDER BY id DESC OFFSET $5 LIMIT $6`, pin, hashes, from, until, page*size, size+1)
	if err != nil {
		s.ownFault(w, twilio, "list", err)
		return
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[smsRow])
	if err != nil {
		s.ownFault(w, twilio, "list", fmt.Errorf("list messages: %w", err))
		return
	}
	more := len(found) > size
	if more {
		found = found[:size]
	}
	if pin == uuid.Max && len(found) > 0 {
		pin = found[0].ID
	}
	s.writeSMSPage(w, r, found, page, size, more, pin)
}

func (s *Sandbox) writeSMSPage(w http.ResponseWriter, r *http.Request, found []smsRow, page, size int, more bool, pin uuid.UUID) {
	wantFrom := r.URL.Query().Get("From")
	list := []map[string]any{}
	for _, row := range found {
		c, err := s.openContent(row.ID, row.Content)
		if err != nil {
			s.ownFault(w, twilio, "list", err)
			return
		}
		if wantFrom == "" || c.From == wantFrom {
			list = append(list, s.smsJSON(row, c))
		}
	}
	base := "/2010-04-01/Accounts/" + s.cred.TwilioAccountSID + "/Messages.json"
	uri := func(p int) string {
		q := r.URL.Query()
		q.Set("PageSize", strconv.Itoa(size))
		q.Set("Page", strconv.Itoa(p))
		q.Del("PageToken")
		if p > 0 {
			q.Set("PageToken", "PASM"+strings.TrimPrefix(smsSID(pin), "SM"))
		}
		return base + "?" + q.Encode()
	}
	var next, previous any
	if more {
		next = uri(page + 1)
	}
	if page > 0 {
		previous = uri(page - 1)
	}
	start := page * size
	writeJSON(w, http.StatusOK, jsonType, map[string]any{
		"messages": list, "page": page, "page_size": size, "start": start, "end": start + max(len(list)-1, 0),
		"uri": uri(page), "first_page_uri": uri(0), "next_page_uri": next, "previous_page_uri": previous,
	})
}

// smsJSON is the Message resource.
func (s *Sandbox) smsJSON(row smsRow, c content) map[string]any {
	sid := smsSID(row.ID)
	uri := "/2010-04-01/Accounts/" + s.cred.TwilioAccountSID + "/Messages/" + sid
	// With a service, the sender is chosen only when the message leaves.
	var from, service, sent, errText any
	segments := "0"
	if row.Status != "accepted" {
		from, segments = c.From, strconv.Itoa(segmentsOf(c.Text))
	}
	if c.Service != "" {
		service = c.Service
	}
	if row.SentAt != nil {
		sent = rfc2822(*row.SentAt)
	}
	if row.ErrorCode != nil {
		errText = errorTexts(*row.ErrorCode)
	}
	return map[string]any{
		"sid": sid, "account_sid": s.cred.TwilioAccountSID, "api_version": "2010-04-01",
		"to": c.To, "from": from, "body": c.Text, "messaging_service_sid": service,
		"status": row.Status, "direction": "outbound-api", "num_segments": segments, "num_media": "0",
		"error_code": row.ErrorCode, "error_message": errText, "price": nil, "price_unit": "USD",
		"date_created": rfc2822(row.CreatedAt), "date_updated": rfc2822(row.UpdatedAt), "date_sent": sent,
		"uri": uri + ".json", "subresource_uris": map[string]string{"media": uri + "/Media.json"},
	}
}

func errorTexts(code int32) string {
	switch code {
	case 30003:
		return "Unreachable destination handset"
	case 30005:
		return "Unknown destination handset"
	case 30006:
		return "Landline or unreachable carrier"
	case 30007:
		return "Carrier violation"
	}
	return "Unknown error"
}

// sentBetween reads DateSent, DateSent> and DateSent< (the "=" of ">=" is the
// query's own).
func sentBetween(q url.Values) (from, until *time.Time, err error) {
	day := func(v string) (*time.Time, error) {
		if v == "" {
			return nil, nil
		}
		t, err := time.Parse("2006-01-02", v[:min(len(v), 10)])
		return &t, err
	}
	on, err1 := day(q.Get("DateSent"))
	from, err2 := day(q.Get("DateSent>"))
	until, err3 := day(q.Get("DateSent<"))
	if on != nil {
		from, until = on, on
	}
	if until != nil {
		end := until.AddDate(0, 0, 1)
		until = &end
	}
	return from, until, errors.Join(err1, err2, err3)
}

func intOr(v string, fallback int) int {
	if v == "" {
		return fallback
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		return -1
	}
	return n
}
