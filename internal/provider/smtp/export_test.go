package smtp

// Abroad gives the server another name than loopback's, so that the rules for
// remote servers apply to it.
func (s *Sender) Abroad(host string) { s.host, s.loopback = host, false }
