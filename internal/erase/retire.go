package erase

import (
	"context"
	"fmt"

	"github.com/connectlink/connectlink/internal/store/ledger"
)

// BatchSize is how many invites one transaction of retention deletes: an invite has some
// dozens of rows.
const BatchSize = 200

// Retire deletes invites that ended longer ago than their project's
// retention, in batches of their own, and returns their number.
func (s *Service) Retire(ctx context.Context) (int, error) {
	projects, err := ledger.ListEndedProjects(ctx, s.p.DB)
	if err != nil {
		return 0, err
	}
	total := 0
	for _, project := range projects {
		for {
			n, err := ledger.DeleteEnded(ctx, s.p.DB, project, s.p.Keep(project), BatchSize)
			if err != nil {
				return total, fmt.Errorf("retire invites of project %s: %w", project, err)
			}
			total += n
			s.metrics.retired.Add(float64(n))
			if n < BatchSize {
				break
			}
		}
	}
	return total, nil
}
