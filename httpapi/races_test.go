package httpapi

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// A meanwhile is a body during which something happens.
type meanwhile struct {
	io.Reader
	happens func()
}

func (m *meanwhile) Read(p []byte) (int, error) {
	if m.happens != nil {
		m.happens()
		m.happens = nil
	}
	return m.Reader.Read(p)
}

// during sends a request that others are faster than.
func (c *caller) during(method, path, body string, happens func()) *reply {
	r := c.request(method, prefix+path, "x")
	r.Body, r.ContentLength = io.NopCloser(&meanwhile{strings.NewReader(body), happens}), -1
	return c.send(r)
}

// A change goes to the queue with the id, not to a later one with its name.
func TestChangesOfAQueueThatIsCreatedAnew(t *testing.T) {
	for _, method := range []string{"PATCH", "PUT"} {
		c := call(t, inproq.Config{})
		path := c.queue("orders")
		c.during(method, path, `{"settings":{"delivery_paused":true}}`, func() {
			require.NoError(t, c.broker.DeleteQueue(t.Context(), "orders"))
			_, err := c.broker.CreateQueue(t.Context(), "orders", inproq.QueueConfig{})
			require.NoError(t, err)
		}).fails(404, 11000, "not found")
		q, err := c.broker.Queue(t.Context(), "orders")
		require.NoError(t, err)
		assert.False(t, q.DeliveryPaused, method)
		c.do("DELETE", path, "").fails(404, 11000, "not found")
	}
}

// A change of the same queue by somebody else does not make it fail.
func TestChangesOfAQueueAtTheSameTime(t *testing.T) {
	for _, method := range []string{"PATCH", "PUT"} {
		c := call(t, inproq.Config{})
		path := c.queue("orders")
		var q wireQueue
		c.during(method, path, `{"settings":{"delivery_paused":true}}`, func() {
			c.do("PATCH", path, `{"settings":{"delivery_delay":7}}`).ok(nil)
		}).ok(&q)
		assert.True(t, q.Settings.DeliveryPaused, method)
		assert.Equal(t, map[string]int64{"PATCH": 7, "PUT": 0}[method], q.Settings.DeliveryDelay)
	}
}

// Half a surrogate pair would become another character.
func TestLoneSurrogatesAreRefused(t *testing.T) {
	c := call(t, inproq.Config{})
	path := c.pulled("orders", `{}`)
	for _, text := range []string{
		`\ud800`, `a\uDFFFb`, `\udc00\ud800`, `\ud800x`, `\ud800\u0041`, `\\\ud800`, `\ud800\ud800\udc00`,
		`\ud800\n`, `\ud83d\ude00\ud83d`, `\ud800\\udc00`,
	} {
		m := `{"content_type":"text","body":"` + text + `"}`
		c.do("POST", path+"/messages", m).fails(400, 10207, "surrogate").at("/body")
		c.do("POST", path+"/messages/batch", `{"messages":[`+m+`]}`).fails(400, 10207, "surrogate").at("/messages/0/body")
	}
	for text, want := range map[string]string{
		`\ud83d\ude00`: "😀", `\\ud800`: `\ud800`, `\ufffd`: "\ufffd", `\u0041\t`: "A\t", `\\`: `\`,
	} {
		c.do("POST", path+"/messages", `{"content_type":"text","body":"`+text+`"}`).ok(nil)
		taken := c.take(path)
		require.Len(t, taken, 1)
		assert.Equal(t, want, taken[0].Body)
	}
	// In JSON it is kept as it was written.
	c.do("POST", path+"/messages", `{"body":"\ud800"}`).ok(nil)
}
