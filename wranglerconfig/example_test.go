package wranglerconfig_test

import (
	"context"
	"fmt"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/wranglerconfig"
)

// A Worker's file configures the consumers of a Go process. The handler has the name of
// the script.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))

	file := inproq.Must(wranglerconfig.Parse(wranglerconfig.JSONC, []byte(`{
		"name": "shop",
		"queues": {
			"producers": [{ "binding": "ORDERS", "queue": "orders" }],
			"consumers": [{ "queue": "orders", "max_batch_size": 2, "dead_letter_queue": "orders-dead" }], // of this process
		},
	}`)))
	cfg := inproq.Must(file.Environment(""))
	fmt.Println(inproq.Must(wranglerconfig.Apply(ctx, broker, cfg)))

	err := inproq.Handle(broker, cfg.Script, func(ctx context.Context, batch *inproq.MessageBatch[string]) error {
		for _, m := range batch.Messages {
			fmt.Println(batch.Queue, "got", m.Body)
		}
		return nil
	})
	if err != nil {
		panic(err)
	}
	queue, _ := cfg.Queue("ORDERS") // what code knows is the binding
	orders := inproq.Must(inproq.Bind[string](ctx, broker, queue))
	inproq.Must(orders.SendBatch(ctx, inproq.Bodies("an umbrella", "a pair of boots")))
	stop()
	fmt.Println("done:", broker.Run(ctx))
	// Output:
	// create queue orders
	// create queue orders-dead
	// attach consumer of orders
	// orders got an umbrella
	// orders got a pair of boots
	// done: <nil>
}

// An environment has its own queues, and its own script's name.
func ExampleFile_Environment() {
	file := inproq.Must(wranglerconfig.Parse(wranglerconfig.TOML, []byte(`
name = "shop"

[[queues.consumers]]
queue = "orders"

[[env.staging.queues.consumers]]
queue = "orders-staging"
max_retries = 10
`)))
	for _, name := range append([]string{""}, file.Environments()...) {
		cfg := inproq.Must(file.Environment(name))
		c := cfg.Consumers[0]
		fmt.Printf("%q: %s consumes %s, %d retries\n", name, cfg.Script, c.Queue, c.Settings.MaxRetries)
	}
	// Output:
	// "": shop consumes orders, 3 retries
	// "staging": shop-staging consumes orders-staging, 10 retries
}

// All that is wrong comes at once, with the place and the bound.
func ExampleError() {
	file := inproq.Must(wranglerconfig.Parse(wranglerconfig.JSONC, []byte(`{
	"name": "shop",
	"queues": {
		"consumers": [{
			"queue": "orders",
			"type": "http_pull",
			"max_batch_size": 200,
			"max_wait_time": 5,
		}],
	},
}`)))
	_, err := file.Environment("")
	fmt.Println(err)
	// Output:
	// wranglerconfig: wrangler.jsonc:6: queues.consumers[0].type is "http_pull", allowed: "worker"; other consumers are not configured in this file
	// wrangler.jsonc:7: queues.consumers[0].max_batch_size is 200, allowed: whole numbers from 1 to 100
	// wrangler.jsonc:8: queues.consumers[0].max_wait_time is not a key here; there are queue, type, max_batch_size, max_batch_timeout, max_retries, dead_letter_queue, max_concurrency, visibility_timeout_ms, retry_delay
}

// Plan tells what Apply would do; a second Apply has nothing to do.
func ExamplePlan() {
	ctx := context.Background()
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	cfg := wranglerconfig.Config{Script: "shop", Consumers: []wranglerconfig.Consumer{{Queue: "orders"}}}
	inproq.Must(wranglerconfig.Apply(ctx, broker, cfg))
	fmt.Println(inproq.Must(wranglerconfig.Apply(ctx, broker, cfg)))

	cfg.Consumers[0].Settings.MaxRetries = 10
	fmt.Println(inproq.Must(wranglerconfig.Plan(ctx, broker, cfg)))
	// Output:
	// no changes
	// update consumer of orders: max_retries 3 -> 10
}
