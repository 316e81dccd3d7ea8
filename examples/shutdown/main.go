// Shutdown shows what a deploy looks like from inside: SIGTERM arrives while
// handlers run and messages wait. What is ready is delivered, also what handlers
// send meanwhile, and a handler that overstays is told so. The program sends the
// signal to itself.
package main

import (
	"context"
	"errors"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/inproq/inproq"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	s := &service{
		out:   &story{w: os.Stdout, began: time.Now()},
		email: 200 * time.Millisecond,
		page:  300 * time.Millisecond,
		grace: time.Second,
		deploy: func() error {
			self, err := os.FindProcess(os.Getpid())
			if err != nil {
				return err
			}
			return self.Signal(syscall.SIGTERM)
		},
	}
	switch err := s.run(ctx); {
	case errors.Is(err, inproq.ErrShutdownTimeout):
		// Worth an alert and an exit status, if it had not been the plan here.
	case err != nil:
		log.Fatal(err)
	}
}

// run works until ctx ends, and returns when the broker has shut down.
func (s *service) run(ctx context.Context) error {
	broker, err := inproq.NewBroker(inproq.Config{ShutdownTimeout: s.grace, Logger: s.out.logger()})
	if err != nil {
		return err
	}
	if err := s.wire(ctx, broker); err != nil {
		return err
	}
	if _, err := s.reports.Send(ctx, "annual report"); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { s.out.say("the signal has arrived: Run delivers what is ready") })()
	err = broker.Run(ctx)
	s.out.say("Run has returned: %v", err)
	_, late := s.emails.Send(context.WithoutCancel(ctx), "too late")
	s.out.say("a send after that: %v", late)
	return err
}
