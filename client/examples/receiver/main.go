// Command receiver prints the events that the service posts, after it verified their
// signatures:
//
//	CONNECTLINK_WEBHOOK_SECRET=whsec_… go run ./examples/receiver 127.0.0.1:9000
//
// Start the service with the same secret and CONNECTLINK_WEBHOOK_URL=http://127.0.0.1:9000/hook.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/connectlink/connectlink/client/webhook"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: receiver HOST:PORT")
		os.Exit(2)
	}
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("listening on http://%s/hook\n", listener.Addr())
	mux := http.NewServeMux()
	mux.HandleFunc("POST /hook", receive)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	fmt.Fprintln(os.Stderr, server.Serve(listener))
	os.Exit(1)
}

// receive answers 204 once the event is taken; any other status makes the service
// post it again.
func receive(w http.ResponseWriter, r *http.Request) {
	event, err := webhook.Read(os.Getenv("CONNECTLINK_WEBHOOK_SECRET"), r)
	if err != nil {
		http.Error(w, "the signature is not valid", http.StatusBadRequest)
		return
	}
	if event.Data.Invite == nil { // about no invite, such as webhook_endpoint.disabled
		fmt.Println(event.Type)
	} else {
		fmt.Println(event.Type, event.Data.Invite.ID, event.Data.Invite.Version)
	}
	w.WriteHeader(http.StatusNoContent)
}
