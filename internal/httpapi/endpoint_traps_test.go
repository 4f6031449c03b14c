package httpapi_test

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// notPublic is the failure of a post whose address is refused as it is about to be dialled.
	notPublic = "the address is not a public one"
	// noHost is that of a host that Go's resolver takes for no name, and asks no server about.
	noHost = "no such host"
)

// trap is a URL that leads a service to call what it must not. HERE in it is the port
// of a listener on this machine.
type trap struct {
	url      string
	resolves []string // what its name resolves to, if it is one
	fails    string   // the failure of a post; notPublic if empty
}

// host is the name of a trap that has one.
func (t trap) host() string {
	_, rest, _ := strings.Cut(t.url, "//")
	end := strings.IndexAny(rest, ":/")
	return rest[:end]
}

// literalTraps name an address that is not public, as net/http reads it.
func literalTraps() (out []trap) {
	for _, host := range []string{
		"127.0.0.1", "127.1.2.3", "127.255.255.254", "0.0.0.0", "10.0.0.5", "172.16.0.1", "172.31.255.254", "192.168.1.1", "100.64.0.1",
		"169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", // metadata
		"192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.9", "192.88.99.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
		"[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::127.0.0.1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:a9fe:a9fe]", "[::ffff:0:7f00:1]",
		"[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::a00:1]", // NAT64
		"[2002:7f00:1::]", "[2002:a9fe:a9fe::1]", // 6to4
		"[2001:0:4136:e378:8000:63bf:80ff:fffe]", // Teredo
		"[fc00::1]", "[fd00:ec2::254]", "[fe80::1]", "[fe80::1%25lo]", "[fec0::1]", "[ff02::1]", "[100::1]", "[2001:db8::1]", "[3fff::1]",
		"localhost", "LOCALHOST", "localhost.", "127.0.0.1.", "１２７.０.０.１", "ｌocalhost",
	} {
		t := trap{url: "https://" + host + ":HERE/"}
		if host == "127.0.0.1." {
			t.fails = noHost
		}
		out = append(out, t)
	}
	for _, port := range []string{"22", "2375", "5432", "6379"} {
		out = append(out, trap{url: "https://127.0.0.1:" + port + "/"})
	}
	return out
}

// numericTraps are other forms of 127.0.0.1, 10.0.0.5 and 169.254.169.254, for which
// some resolvers return those.
func numericTraps() (out []trap) {
	for host, fails := range map[string]string{
		"2130706433": noHost, "017700000001": noHost, "0177.0.0.1": noHost, "127.1": noHost, "127.0.1": noHost, "010.0.0.5": noHost, "2852039166": noHost,
		"0x7f000001": notPublic, "0x7f.0.0.1": notPublic, "0x7f.1": notPublic, "0xa9fea9fe": notPublic, "127.0.0.0x1": notPublic, "0X7F000001": notPublic,
	} {
		out = append(out, trap{url: "https://" + host + ":HERE/", resolves: []string{"127.0.0.1"}, fails: fails})
	}
	return out
}

// nameTraps are names that resolve to addresses that are not public.
func nameTraps() (out []trap) {
	for i, addresses := range [][]string{
		{"127.0.0.1"}, {"10.0.0.5"}, {"169.254.169.254"}, {"100.100.100.200"}, {"fd00:ec2::254"}, {"::1"}, {"fe80::1"}, {"::ffff:127.0.0.1"},
		{"64:ff9b::7f00:1"}, {"2002:7f00:1::"}, {"2001:0:7f00:1::"}, {"0.0.0.0"}, {"127.0.0.1", "10.0.0.5", "::1"},
	} {
		out = append(out, trap{url: "https://trap-" + string(rune('a'+i)) + ".example:HERE/", resolves: addresses})
	}
	return out
}

// unreadableTraps are refused also where a project allows private addresses.
func unreadableTraps() []string {
	return []string{
		"https://acme.example@127.0.0.1:HERE/", "https://acme.example:443@127.0.0.1:HERE/", "https://127.0.0.1:HERE#@acme.example/",
		`https://acme.example\@127.0.0.1:HERE/`, "https://127.0.0.1:HERE\\.acme.example/", "https://127.0.0.1\t:HERE/", "https://127.0.0.1%00.acme.example/",
		"https://[::1", "https://[127.0.0.1]:HERE/x]", "https:///127.0.0.1:HERE/", "https:127.0.0.1:HERE", "//127.0.0.1:HERE/", "ftp://127.0.0.1:HERE/",
		"file:///etc/passwd", "gopher://127.0.0.1:HERE/_x", "unix:///var/run/docker.sock",
	}
}

// trapWorld is a world with a listener on this machine that counts its connections.
type trapWorld struct {
	*world
	port    string
	reached atomic.Int32
}

func newTrapWorld(t *testing.T) *trapWorld {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &trapWorld{world: newWorld(t)}
	_, w.port, err = net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{
		Handler:           http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusNoContent) }),
		ConnState:         func(_ net.Conn, s http.ConnState) { w.opened(s) },
		ReadHeaderTimeout: 10 * time.Second,
	}}
	s.Start()
	t.Cleanup(s.Close)
	return w
}

func (w *trapWorld) opened(s http.ConnState) {
	if s == http.StateNew {
		w.reached.Add(1)
	}
}

func (w *trapWorld) here(url string) string { return strings.ReplaceAll(url, "HERE", w.port) }

func (w *trapWorld) post(t *testing.T, url string) reply {
	t.Helper()
	body, err := json.Marshal(map[string]string{"url": w.here(url)})
	if err != nil {
		t.Fatal(err)
	}
	return w.call(t, w.hooks, "POST", "/v1/webhook_endpoints", string(body))
}

// try posts a test event to an endpoint and deletes the endpoint.
func (w *trapWorld) try(t *testing.T, made reply) reply {
	t.Helper()
	if made.status != 201 {
		t.Fatalf("create: %d %s", made.status, made.body)
	}
	path := "/v1/webhook_endpoints/" + made.at(t, "id").(string)
	r := w.call(t, w.hooks, "POST", path+"/test", `{"type":"invite.connected"}`)
	if r.status != 200 {
		t.Fatalf("test: %d %s", r.status, r.body)
	}
	if d := w.call(t, w.hooks, "DELETE", path, ""); d.status != 204 {
		t.Fatalf("delete: %d %s", d.status, d.body)
	}
	return r
}

// refused checks that an attempt reached nothing, because of its address.
func (w *trapWorld) refused(t *testing.T, trap trap, attempt reply) {
	t.Helper()
	want := trap.fails
	if want == "" {
		want = notPublic
	}
	failure, _ := attempt.at(t, "failure").(string)
	if attempt.at(t, "delivered") != false || attempt.at(t, "http_status") != nil ||
		!strings.Contains(failure, want) || want == notPublic && failure != want { // an address of our network is no caller's business
		t.Errorf("%s, resolved to %v: %s, want %q", trap.url, trap.resolves, attempt.body, want)
	}
	if n := w.reached.Swap(0); n != 0 {
		t.Errorf("%s, resolved to %v: the listener on this machine was reached", trap.url, trap.resolves)
	}
}

// TestAddressTrapsReachNothing: an endpoint of a trap cannot be created, and one that
// exists, from a time when the project allowed private addresses, is not dialled.
func TestAddressTrapsReachNothing(t *testing.T) {
	t.Parallel()
	w := newTrapWorld(t)
	traps := append(append(literalTraps(), numericTraps()...), nameTraps()...)
	if len(traps) < 60 {
		t.Errorf("only %d traps", len(traps))
	}
	w.names.set("localhost", "127.0.0.1") // where /etc/hosts has no "localhost."
	for _, trap := range traps {
		if trap.resolves != nil {
			w.names.set(strings.ToLower(trap.host()), trap.resolves...)
		}
		if r := w.post(t, trap.url); r.status != 422 || r.at(t, "code") != "webhook_url_not_allowed" {
			t.Errorf("%s, resolved to %v, can be created: %d %s", trap.url, trap.resolves, r.status, r.body)
		}
		w.project.PrivateWebhooks = true
		made := w.post(t, trap.url)
		w.project.PrivateWebhooks = false
		w.refused(t, trap, w.try(t, made))
	}
	for _, url := range unreadableTraps() {
		for _, allowed := range []bool{false, true} {
			w.project.PrivateWebhooks = allowed
			if r := w.post(t, url); r.status != 422 {
				t.Errorf("%q, private addresses allowed: %t: %d %s", url, allowed, r.status, r.body)
			}
		}
	}

	// The listener is there, and the names lead to it.
	w.project.PrivateWebhooks = true
	for _, url := range []string{"http://127.0.0.1:HERE/", "http://trap-a.example:HERE/"} {
		if r := w.try(t, w.post(t, url)); r.at(t, "delivered") != true || w.reached.Swap(0) != 1 {
			t.Errorf("%s is not reached where it is allowed: %s", url, r.body)
		}
	}
}

// TestANameThatResolvesOtherwiseLaterReachesNothing: the answer at the creation was a
// public address, that of the dial is another (DNS rebinding).
func TestANameThatResolvesOtherwiseLaterReachesNothing(t *testing.T) {
	t.Parallel()
	w := newTrapWorld(t)
	for _, trap := range nameTraps() {
		w.names.set(trap.host(), "93.184.216.34", "2606:2800:220:1::1")
		made := w.post(t, trap.url)
		w.names.set(trap.host(), trap.resolves...)
		w.refused(t, trap, w.try(t, made))
	}
}

// TestRedirectsOfEndpointsReachNothing: an endpoint that may be called answers with the
// address of one that may not.
func TestRedirectsOfEndpointsReachNothing(t *testing.T) {
	t.Parallel()
	w := newTrapWorld(t)
	w.project.PrivateWebhooks = true
	for _, status := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		s := httptest.NewServer(http.RedirectHandler(w.here("http://127.0.0.1:HERE/"), status))
		r := w.try(t, w.post(t, s.URL))
		s.Close()
		if r.at(t, "delivered") != false || r.at(t, "http_status") != float64(status) {
			t.Errorf("a redirect by %d: %s", status, r.body)
		}
		if n := w.reached.Swap(0); n != 0 {
			t.Errorf("a redirect by %d was followed", status)
		}
	}
}
