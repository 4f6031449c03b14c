package sandbox

import "net/http"

func (s *Sandbox) serveInbox(w http.ResponseWriter, r *http.Request)        {}
func (s *Sandbox) serveInboxMessage(w http.ResponseWriter, r *http.Request) {}
func (s *Sandbox) serveInboxHTML(w http.ResponseWriter, r *http.Request)    {}
