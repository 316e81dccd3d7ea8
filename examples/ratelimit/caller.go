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
	"sync/atomic"
	"time"

	"github.com/inproq/inproq"
)

// Report is what the queue holds, and what the API gets.
type Report struct {
	Number int `json:"number"`
}

// caller is the consumer.
type caller struct {
	client *http.Client
	url    string
	window time.Duration // between two batches
	delay  time.Duration // after a 429
	last   time.Time     // end of the last batch; no lock: one handler runs at a time

	log   *log.Logger
	start time.Time
	open  atomic.Int32 // reports that the API has not got
	stop  context.CancelFunc
}

var errTooManyRequests = errors.New("429 Too Many Requests")

// handle makes a request for each message. Each is settled for itself: one that
// was refused does not bring back the other, which was not.
func (c *caller) handle(ctx context.Context, batch *inproq.MessageBatch[Report]) error {
	if err := c.pause(ctx); err != nil {
		return err
	}
	for _, m := range batch.Messages {
		status, err := c.post(ctx, m.Body)
		switch {
		case err == nil:
			m.Ack()
		case status == http.StatusTooManyRequests:
			m.Retry(inproq.Delay(c.delay), inproq.Cause(err))
		default:
			m.Retry(inproq.Cause(err))
		}
		c.note(m, err)
	}
	c.last = time.Now()
	return nil
}

// pause waits until the API allows two requests again. It does so before a batch
// and not after it: what is done is settled at once. The API counts a request when
// it arrives, so the time runs from the last answer.
func (c *caller) pause(ctx context.Context) error {
	select {
	case <-time.After(time.Until(c.last.Add(c.window))):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// post makes one request. Its error is not nil unless the status is 2xx; without
// an answer the status is zero.
func (c *caller) post(ctx context.Context, r Report) (status int, err error) {
	body, err := json.Marshal(r)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	if err := resp.Body.Close(); err != nil {
		return resp.StatusCode, err
	}
	switch {
	case resp.StatusCode == http.StatusTooManyRequests:
		return resp.StatusCode, errTooManyRequests
	case resp.StatusCode/100 != 2:
		return resp.StatusCode, fmt.Errorf("unexpected status %s", resp.Status)
	}
	return resp.StatusCode, nil
}

// note tells the story, and ends it.
func (c *caller) note(m *inproq.Message[Report], err error) {
	result := "accepted"
	if err != nil {
		result = err.Error()
	}
	c.log.Printf("%6v report %d, attempt %d: %s", time.Since(c.start).Round(time.Millisecond), m.Body.Number, m.Attempts, result)
	if err == nil && c.open.Add(-1) == 0 {
		c.stop()
	}
}
