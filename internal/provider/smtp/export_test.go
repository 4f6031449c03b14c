package smtp

// Abroad gives the server another name than loopback's, so that what is required
// of others is required of it.
func (s *Sender) Abroad(host string) { s.host, s.loopback = host, false }
