package client

import (
	"context"
	"iter"
)

// page is one page of a list.
type page[T any] struct {
	Data       []T     `json:"data"`
	HasMore    bool    `json:"has_more"`
	NextCursor *string `json:"next_cursor"`
}

// items walks a list page by page. next reads the page at a cursor, the first
// page at an empty one. An error ends the walk and comes with a zero item.
func items[T any](ctx context.Context, next func(ctx context.Context, cursor string) (page[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for cursor := ""; ; {
			p, err := next(ctx, cursor)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range p.Data {
				if !yield(item, nil) {
					return
				}
			}
			if !p.HasMore || p.NextCursor == nil || *p.NextCursor == cursor {
				return
			}
			cursor = *p.NextCursor
		}
	}
}
