package console

import (
	"strconv"

	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/store/keyring"
)

// resealing is how far `keyset reseal` is, over all tables.
type resealing struct {
	Text, Left string // Left is empty where no row is left
	Badge      view.Badge
}

// resealing sums the progress of the tables; nil before the first run.
func (s *console) resealing(p *page) (*resealing, error) {
	list, err := keyring.ListProgress(p.ctx(), s.DB)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	done, renewed, left := 0, int64(0), int64(0)
	for _, t := range list {
		if renewed += t.Renewed; t.FinishedAt != nil {
			done++
			left += t.Skipped
		}
	}
	r := &resealing{
		Text:  p.t("Tables done: %s of %s. Rows renewed: %s.", p.frame.Number(done), p.frame.Number(len(list)), p.frame.Number(int(renewed))),
		Badge: view.Badge{Kind: "good", Icon: "check", Text: p.t("Done")},
	}
	if left > 0 {
		r.Left = p.t("Rows left under an old key: %s.", strconv.FormatInt(left, 10))
	}
	if done < len(list) {
		r.Badge = view.Badge{Kind: "calm", Icon: "clock", Text: p.t("Not finished")}
	}
	return r, nil
}
