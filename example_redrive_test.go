package inproq_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/inproq/inproq"
)

// When what was broken works again, dead letters go back to the queues that they died in, at a
// rate that these can bear.
func ExampleBroker_Redrive() {
	ctx, stop := context.WithCancel(context.Background())
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	var paper atomic.Bool
	forms := inproq.Must(inproq.Declare[string](ctx, broker, "forms", inproq.QueueConfig{}))
	inproq.Must(forms.Consume(inproq.Each(func(ctx context.Context, m *inproq.Message[string]) error {
		if !paper.Load() {
			return errors.New("no paper")
		}
		fmt.Println("printed", m.Body)
		return nil
	}), inproq.ConsumerConfig{
		MaxRetries: inproq.NoRetries, MaxBatchTimeout: inproq.NoWait, MaxConcurrency: 1, DeadLetterQueue: "failed",
	}))
	deaths := broker.Events(ctx, inproq.EventDeadLettered)
	var run sync.WaitGroup
	run.Go(func() {
		if err := broker.Run(ctx); err != nil {
			log.Fatal(err)
		}
	})
	inproq.Must(forms.SendBatch(ctx, inproq.Bodies("form A", "form B", "form C")))
	dead := 0
	for e := range deaths {
		fmt.Println("dead:", e.Err)
		if dead++; dead == 3 {
			break
		}
	}

	paper.Store(true)
	noPaper := func(m inproq.PeekedMessage) bool {
		letter, ok := m.DeadLetter()
		return ok && strings.Contains(letter.Error, "no paper")
	}
	moved, err := broker.Redrive(ctx, "failed", "", inproq.RedriveConfig{Filter: noPaper, PerSecond: 1000})
	fmt.Println("moved", moved, err)
	stop()
	run.Wait()
	// Unordered output:
	// dead: no paper
	// dead: no paper
	// dead: no paper
	// moved 3 <nil>
	// printed form A
	// printed form B
	// printed form C
}
