package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// A pullConsumer is written from the documented curl calls alone, as one in another
// language would be: it knows a URL, a token, and the JSON that they show.
type pullConsumer struct {
	client *http.Client
	url    string // of the queue's messages
	token  string
}

func (p *pullConsumer) post(path string, body, result any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequest(http.MethodPost, p.url+path, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+p.token)
	res, err := p.client.Do(r)
	if err != nil {
		return err
	}
	raw, err = io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		return err
	}
	var e struct {
		Success bool
		Result  json.RawMessage
	}
	if err := json.Unmarshal(raw, &e); err != nil || !e.Success {
		return fmt.Errorf("%s: %d %s", path, res.StatusCode, raw)
	}
	return json.Unmarshal(e.Result, result)
}

// Messages are pulled by several consumers at once. Some forget what they have pulled,
// so that it comes again when its visibility is over; some are retried, with a delay or
// without; some acknowledgements come late. None is lost, and in the end none is left.
func TestPullConsumersDrain10000Messages(t *testing.T) {
	const total, pullers = 10_000, 8
	c := call(t, inproq.Config{})
	path := c.pulled("orders", `{"max_retries":100}`)
	c.handler = New(c.broker, Config{AccountID: account, Authorize: StaticTokens(map[string]Permission{"secret": QueuesRead | QueuesWrite})})
	srv := httptest.NewServer(c.handler)
	defer srv.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * pullers}}
	defer client.CloseIdleConnections()
	consumer := pullConsumer{client, srv.URL + prefix + path + "/messages", "secret"}

	type lease = map[string]any
	var mu sync.Mutex
	delivered, acked := make(map[string]int), make(map[string]int)
	var retried, forgotten, late int
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { // producers, while others pull already
			for i := 0; i < total/2; i += 100 {
				var batch []map[string]any
				for j := range 100 {
					batch = append(batch, map[string]any{"body": map[string]int{"n": i + j}})
				}
				assert.NoError(t, consumer.post("/batch", map[string]any{"messages": batch}, new(any)))
			}
		})
	}
	for seed := range pullers {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(seed)))
			deadline := time.Now().Add(time.Minute)
			for time.Now().Before(deadline) {
				var p pulled
				if !assert.NoError(t, consumer.post("/pull", map[string]any{"visibility_timeout_ms": 400, "batch_size": 100}, &p)) {
					return
				}
				if len(p.Messages) == 0 {
					mu.Lock()
					done := len(acked) == total
					mu.Unlock()
					if done {
						return
					}
					time.Sleep(5 * time.Millisecond)
					continue
				}
				acks, retries := []lease{}, []lease{}
				ids := map[string]string{} // of what is about to be acknowledged, by lease
				mu.Lock()
				forget := rnd.IntN(10) == 0
				for _, m := range p.Messages {
					delivered[m.ID.String()]++
					switch {
					case forget:
						forgotten++
					case m.Attempts < 4 && rnd.IntN(5) == 0:
						l := lease{"lease_id": m.LeaseID}
						if rnd.IntN(10) == 0 {
							l["delay_seconds"] = 1
						}
						retries = append(retries, l)
					default:
						acks = append(acks, lease{"lease_id": m.LeaseID})
						ids[m.LeaseID] = m.ID.String()
					}
				}
				mu.Unlock()
				if rnd.IntN(20) == 0 {
					time.Sleep(500 * time.Millisecond) // the visibility is over by now
				}
				var res wireAck
				if !assert.NoError(t, consumer.post("/ack", map[string]any{"acks": acks, "retries": retries}, &res)) {
					return
				}
				mu.Lock()
				retried += res.RetryCount
				late += len(res.Warnings)
				for l, id := range ids {
					if res.Warnings[l] == "" {
						acked[id]++
					}
				}
				mu.Unlock()
				assert.Equal(t, len(acks)+len(retries), res.AckCount+res.RetryCount+len(res.Warnings))
			}
		})
	}
	wg.Wait()
	assert.Len(t, acked, total, "each is acknowledged")
	assert.Len(t, delivered, total)
	for id, n := range acked {
		require.Equal(t, 1, n, "%s is acknowledged once", id)
	}
	assert.Positive(t, retried)
	assert.Positive(t, forgotten)
	var m wireMetrics
	c.token = "secret"
	c.do("GET", path+"/metrics", "").ok(&m)
	assert.Equal(t, wireMetrics{}, m)
	t.Logf("%d retried, %d forgotten, %d late", retried, forgotten, late)
}
