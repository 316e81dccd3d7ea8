package main

import (
	"context"
	"fmt"
	"log"

	"github.com/inproq/inproq"
)

// An Order is what the queue of wrangler.jsonc has.
type Order struct {
	Item     string `json:"item"`
	Quantity int    `json:"quantity"`
}

// handlers registers the Go code that consumes: whichever queue has a worker consumer
// with one of these names, its messages come here. The script of a configuration that is
// none of them is a printer too, so that every configuration works.
func handlers(b *inproq.Broker, script string, log *log.Logger) error {
	if err := inproq.Handle(b, "shop", shop(log)); err != nil {
		return err
	}
	names := []string{"printer"}
	if script != "" && script != "shop" && script != "printer" {
		names = append(names, script)
	}
	for _, name := range names {
		if err := inproq.Handle(b, name, printer(name, log)); err != nil {
			return err
		}
	}
	return nil
}

// shop refuses what nobody can order: that is retried, and then a dead letter.
func shop(log *log.Logger) inproq.Handler[Order] {
	return inproq.Each(func(_ context.Context, m *inproq.Message[Order]) error {
		if m.Body.Quantity < 1 {
			log.Printf("shop: refused %d × %q, attempt %d", m.Body.Quantity, m.Body.Item, m.Attempts)
			return fmt.Errorf("a quantity of %d", m.Body.Quantity)
		}
		log.Printf("shop: sold %d × %q", m.Body.Quantity, m.Body.Item)
		return nil
	})
}

// printer takes messages of any content type, as they are stored.
func printer(name string, log *log.Logger) inproq.Handler[[]byte] {
	return func(_ context.Context, batch *inproq.MessageBatch[[]byte]) error {
		for _, m := range batch.Messages {
			log.Printf("%s: %s has %s %q", name, batch.Queue, m.ContentType, m.Body)
		}
		return nil
	}
}
