// Signup is a sign-up handler that answers at once. What follows from a sign-up,
// a welcome email, a record for the analytics and a ping in the team's chat, goes
// through a queue and happens after the response. Mail that cannot be delivered
// ends in a dead-letter queue.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"sync/atomic"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run serves while three people sign up, and returns when all that follows is
// done.
func run(ctx context.Context, out io.Writer) error {
	story := log.New(out, "", 0)
	a, err := newApp(ctx, newEffects(story), story)
	if err != nil {
		return err
	}
	server := httptest.NewServer(a) // examples/taskqueue shows how a service serves and ends
	running, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	var runErr error
	wg.Go(func() { runErr = a.broker.Run(running) })

	var signUpErr error
	for _, p := range []Person{{"Ada", "ada@example.org"}, {"Alan", "alan@example.org"}, {"Grace", "grace@example.org"}} {
		status, err := post(ctx, server, p)
		if err != nil {
			signUpErr = err
			break
		}
		story.Printf("%s signs up: %s", p.Name, status)
	}

	// First no more requests, then no more messages: Run delivers what is ready,
	// with retries and dead letters, before it returns.
	server.Close()
	stop()
	wg.Wait()
	return errors.Join(signUpErr, runErr)
}

func post(ctx context.Context, server *httptest.Server, p Person) (status string, err error) {
	body, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/signup", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		return "", err
	}
	return resp.Status, resp.Body.Close()
}

// newEffects stands for the services that are called. Alan's mailbox is busy once,
// and Grace has none.
func newEffects(story *log.Logger) map[Kind]effect {
	var asked atomic.Bool
	return map[Kind]effect{
		Email: func(_ context.Context, p Person) error {
			switch {
			case p.Email == "alan@example.org" && !asked.Swap(true):
				return fmt.Errorf("450 %s: mailbox busy", p.Email)
			case p.Email == "grace@example.org":
				return fmt.Errorf("550 %s: no such mailbox", p.Email)
			}
			story.Printf("email to %s: Welcome, %s!", p.Email, p.Name)
			return nil
		},
		Analytics: func(_ context.Context, p Person) error {
			story.Printf("analytics: sign-up of %s", p.Email)
			return nil
		},
		Chat: func(_ context.Context, p Person) error {
			story.Printf("chat: %s has joined", p.Name)
			return nil
		},
	}
}
