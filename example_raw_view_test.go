package inproq_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"

	"github.com/inproq/inproq"
)

// A view with bodies of json.RawMessage or []byte may be taken of any queue. It
// sees the bodies as they are stored, for instance to audit them.
func ExampleBind() {
	ctx, stop := context.WithCancel(context.Background())
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	type order struct {
		ID    int    `json:"id"`
		Buyer string `json:"buyer"`
	}
	orders := inproq.Must(inproq.Declare[order](ctx, broker, "orders", inproq.QueueConfig{}))
	inproq.Must(orders.Send(ctx, order{ID: 7, Buyer: "ada"}))
	audit := inproq.Must(inproq.Bind[json.RawMessage](ctx, broker, "orders"))
	inproq.Must(audit.Consume(inproq.Each(func(ctx context.Context, m *inproq.Message[json.RawMessage]) error {
		fmt.Println(string(m.Body))
		return nil
	}), inproq.ConsumerConfig{}))
	_, err := inproq.Bind[string](ctx, broker, "orders")
	fmt.Println(err)
	stop()
	if err := broker.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// inproq: type mismatch: "orders" is inproq_test.order, not string
	// {"id":7,"buyer":"ada"}
}
