package inproq_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/inproq/inproq"
)

// What a queue does costs operations: three for a message that goes through. EstimateBill tells what
// they would cost at Cloudflare in a month that is like the time that was measured.
func ExampleEstimateBill() {
	ctx, stop := context.WithCancel(context.Background())
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	scans := inproq.Must(inproq.Declare[[]byte](ctx, broker, "scans", inproq.QueueConfig{}))
	inproq.Must(scans.Consume(func(ctx context.Context, batch *inproq.MessageBatch[[]byte]) error {
		return nil
	}, inproq.ConsumerConfig{}))
	inproq.Must(scans.SendBatch(ctx, inproq.Bodies(make([]byte, 100), make([]byte, 100_000)))) // the second counts twice
	stop()
	if err := broker.Run(ctx); err != nil {
		log.Fatal(err)
	}
	stats := broker.Stats("scans")
	fmt.Println("written:", stats.Ops.Write, "read:", stats.Ops.Read, "deleted:", stats.Ops.Delete)

	// Say that these were two days, in each of which that happened 500,000 times.
	stats.Over = 48 * time.Hour
	for _, ops := range []*uint64{&stats.Ops.Write, &stats.Ops.Read, &stats.Ops.Delete} {
		*ops *= 1_000_000
	}
	fmt.Print(inproq.EstimateBill(stats, inproq.CloudflarePrice()))
	// Output:
	// written: 3 read: 3 deleted: 3
	// operations a month
	//   write           45000000
	//   read            45000000
	//   delete          45000000
	//   billable       134000000
	// cost                 53.60 USD
}
