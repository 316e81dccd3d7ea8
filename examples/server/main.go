// Server is Cloudflare Queues on a port of this machine: what wrangler, the SDKs, curl
// and pull consumers say to api.cloudflare.com, they say to it.
//
//	go run . -config wrangler.jsonc -db queues.db
//
//	export CLOUDFLARE_API_BASE_URL=http://127.0.0.1:8787/client/v4
//	export CLOUDFLARE_ACCOUNT_ID=00000000000000000000000000000000 CLOUDFLARE_API_TOKEN=any
//	wrangler queues list
//
// Two handlers are waiting for consumers with their names: "shop" takes the orders of
// wrangler.jsonc, and "printer" shows whatever it gets:
//
//	wrangler queues create parcels
//	wrangler queues consumer add parcels printer
//
// Beside the API there are event subscriptions of what happens to queues, and the GraphQL
// analytics, at /client/v4/graphql.
//
// Without -db the messages are in memory and end with the process. With a token, in
// QUEUES_TOKEN, only who knows it is answered (QUEUES_READ_TOKEN is one that may only
// look); without one, only this machine.
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8787", "address to listen on")
	var o options
	flag.StringVar(&o.db, "db", "", "file that keeps the queues; none: memory")
	flag.StringVar(&o.config, "config", "", "wrangler.toml or wrangler.jsonc whose queues to set up; at every start, as a deploy does")
	flag.StringVar(&o.environment, "env", "", "environment of -config")
	flag.StringVar(&o.account, "account", "", "the account id that is answered; none: any")
	flag.Parse()
	// Not flags: every user of this machine sees those in the list of processes.
	o.token, o.readToken = os.Getenv("QUEUES_TOKEN"), os.Getenv("QUEUES_READ_TOKEN")

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if err := run(ctx, *addr, o); err != nil {
		log.Fatal(err)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, addr string, o options) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	s, err := newServer(ctx, o, log.Default())
	if err != nil {
		_ = l.Close()
		return err
	}
	log.Printf("listening on http://%s/client/v4", l.Addr())
	return s.serve(ctx, l)
}
