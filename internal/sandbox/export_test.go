package sandbox

import "context"

// Forget runs retention once, which Run does by the hour.
func Forget(ctx context.Context, s *Sandbox) error { _, err := s.forget(ctx); return err }
