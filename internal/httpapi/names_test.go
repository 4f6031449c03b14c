package httpapi_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// names is a DNS server of a test, which says at any time what a name resolves to. It
// knows no other names. It is safe for concurrent use.
type names struct {
	mu sync.Mutex
	of map[string][]netip.Addr
}

// set makes a name resolve to addresses from now on.
func (n *names) set(host string, addresses ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.of[host] = nil
	for _, a := range addresses {
		n.of[host] = append(n.of[host], netip.MustParseAddr(a))
	}
}

func (n *names) lookup(host string) ([]netip.Addr, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	addresses, ok := n.of[strings.ToLower(strings.TrimSuffix(host, "."))]
	return addresses, ok
}

func (n *names) knows(host string) bool {
	_, ok := n.lookup(host)
	return ok
}

// resolver asks the server by DNS over a stream.
func (n *names) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go n.serve(server)
		return client, nil
	}}
}

// serve answers until the client closes the connection.
func (n *names) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	for {
		var size uint16
		if err := binary.Read(c, binary.BigEndian, &size); err != nil {
			return
		}
		question := make([]byte, size)
		if _, err := io.ReadFull(c, question); err != nil {
			return
		}
		answer, err := n.answer(question)
		if err != nil {
			return
		}
		size = uint16(len(answer)) //nolint:gosec // an answer of a few addresses
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, size), answer...)); err != nil {
			return
		}
	}
}

func (n *names) answer(question []byte) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil {
		return nil, err
	}
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	for _, q := range m.Questions {
		addresses, ok := n.lookup(q.Name.String())
		if !ok {
			m.RCode = dnsmessage.RCodeNameError
		}
		head := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class}
		for _, a := range addresses {
			switch {
			case a.Is4() && q.Type == dnsmessage.TypeA:
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: a.As4()}})
			case a.Is6() && q.Type == dnsmessage.TypeAAAA:
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
			}
		}
	}
	return m.Pack()
}
