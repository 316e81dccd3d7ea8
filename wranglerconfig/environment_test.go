package wranglerconfig

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// environment parses a configuration and reads one environment of it.
func environment(t *testing.T, format Format, text, name string) (Config, error) {
	t.Helper()
	f, err := Parse(format, []byte(text))
	require.NoError(t, err)
	return f.Environment(name)
}

// problems are what an error lists, without the name of the file.
func problems(t *testing.T, err error) []string {
	t.Helper()
	require.Error(t, err)
	require.ErrorIs(t, err, inproq.ErrInvalidConfig)
	all, ok := errors.AsType[*Error](err)
	require.True(t, ok)
	var lines []string
	for _, p := range all.Problems {
		_, line, _ := strings.Cut(p.String(), ":")
		lines = append(lines, line)
	}
	assert.Equal(t, len(lines), strings.Count(err.Error(), "\n")+1)
	return lines
}

// Everything that can be wrong with a consumer: the text of its object, and the problem.
func TestConsumersThatAreWrong(t *testing.T) {
	for fields, want := range map[string]string{
		`"queue": "q", "max_batch_sise": 5`:          `max_batch_sise is not a key here; there are queue, type, max_batch_size, max_batch_timeout, max_retries, dead_letter_queue, max_concurrency, visibility_timeout_ms, retry_delay`,
		`"queue": "q", "batch_size": 5`:              `batch_size is not a key here; there are queue, type, max_batch_size, max_batch_timeout, max_retries, dead_letter_queue, max_concurrency, visibility_timeout_ms, retry_delay`,
		`"max_retries": 5`:                           `queue is missing`,
		`"queue": ""`:                                `queue is empty`,
		`"queue": 7`:                                 `queue is 7, allowed: a string`,
		`"queue": "a_b"`:                             `queue is "a_b", allowed: 1 to 63 letters, digits and dashes, with a letter or digit at both ends`,
		`"queue": "-a"`:                              `queue is "-a", allowed: 1 to 63 letters, digits and dashes, with a letter or digit at both ends`,
		`"queue": "q", "type": "http_pull"`:          `type is "http_pull", allowed: "worker"; other consumers are not configured in this file`,
		`"queue": "q", "type": null`:                 `type is null, allowed: a string`,
		`"queue": "q", "max_batch_size": 0`:          `max_batch_size is 0, allowed: whole numbers from 1 to 100`,
		`"queue": "q", "max_batch_size": 101`:        `max_batch_size is 101, allowed: whole numbers from 1 to 100`,
		`"queue": "q", "max_batch_size": 1.5`:        `max_batch_size is 1.5, allowed: whole numbers from 1 to 100`,
		`"queue": "q", "max_batch_size": 1e999`:      `max_batch_size is 1e999, allowed: whole numbers from 1 to 100`,
		`"queue": "q", "max_batch_size": "10"`:       `max_batch_size is "10", allowed: a number`,
		`"queue": "q", "max_batch_size": null`:       `max_batch_size is null, allowed: a number`,
		`"queue": "q", "max_batch_size": [1]`:        `max_batch_size is an array, allowed: a number`,
		`"queue": "q", "max_batch_timeout": -1`:      `max_batch_timeout is -1, allowed: seconds, in steps of 1ms, from 0 to 60`,
		`"queue": "q", "max_batch_timeout": 60.001`:  `max_batch_timeout is 60.001, allowed: seconds, in steps of 1ms, from 0 to 60`,
		`"queue": "q", "max_batch_timeout": 0.0001`:  `max_batch_timeout is 0.0001, allowed: seconds, in steps of 1ms, from 0 to 60`,
		`"queue": "q", "max_retries": 101`:           `max_retries is 101, allowed: whole numbers from 0 to 100`,
		`"queue": "q", "max_retries": -1`:            `max_retries is -1, allowed: whole numbers from 0 to 100`,
		`"queue": "q", "retry_delay": 43201`:         `retry_delay is 43201, allowed: whole seconds from 0 to 43200`,
		`"queue": "q", "retry_delay": 0.5`:           `retry_delay is 0.5, allowed: whole seconds from 0 to 43200`,
		`"queue": "q", "max_concurrency": 251`:       `max_concurrency is 251, allowed: whole numbers from 1 to 250`,
		`"queue": "q", "max_concurrency": 0`:         `max_concurrency is 0, allowed: whole numbers from 1 to 250`,
		`"queue": "q", "max_concurrency": false`:     `max_concurrency is false, allowed: a number`,
		`"queue": "q", "dead_letter_queue": "q"`:     `dead_letter_queue is "q", allowed: any other queue than the consumed one`,
		`"queue": "q", "dead_letter_queue": "d/q"`:   `dead_letter_queue is "d/q", allowed: 1 to 63 letters, digits and dashes, with a letter or digit at both ends`,
		`"queue": "q", "dead_letter_queue": {}`:      `dead_letter_queue is an object, allowed: a string`,
		`"queue": "q", "visibility_timeout_ms": "1"`: `visibility_timeout_ms is "1", allowed: a number`,
	} {
		text := "{\"name\": \"s\", \"queues\": {\"consumers\": [\n{" + fields + "}]}}"
		_, err := environment(t, JSONC, text, "")
		assert.Equal(t, []string{"2: queues.consumers[0]." + want}, problems(t, err), fields)
	}
}

func TestProducersThatAreWrong(t *testing.T) {
	for fields, want := range map[string]string{
		`queue = "q"`:                                          `binding is missing`,
		`binding = "", queue = "q"`:                            `binding is empty`,
		`binding = 2026-10-01, queue = "q"`:                    `binding is a date, allowed: a string`,
		`binding = "A", queue = ""`:                            `queue is "", allowed: 1 to 63 letters, digits and dashes, with a letter or digit at both ends`,
		`binding = "Ä"`:                                        `queue is missing, and the default "s-ä" is no queue's name, allowed: 1 to 63 letters, digits and dashes, with a letter or digit at both ends`,
		`binding = "A", queue = "q", delivery_delay = true`:    `delivery_delay is true, allowed: a number`,
		`binding = "A", queue = "q", remote = 1`:               `remote is 1, allowed: a boolean`,
		`binding = "A", queue = "q", delay = 1`:                `delay is not a key here; there are binding, queue, delivery_delay, remote`,
		`binding = "A", queue = "q", nested.retry.delay = 1`:   `nested is not a key here; there are binding, queue, delivery_delay, remote`,
		`binding = "A", queue = "q", "quoted key \n" = [1, 2]`: `"quoted key \n" is not a key here; there are binding, queue, delivery_delay, remote`,
	} {
		_, err := environment(t, TOML, "name = \"s\"\nqueues.producers = [\n{ "+fields+" },\n]", "")
		assert.Equal(t, []string{"3: queues.producers[0]." + want}, problems(t, err), fields)
	}
}

// All problems come at once, in the order of the lines.
func TestAllProblemsAtOnce(t *testing.T) {
	_, err := environment(t, TOML, `
[queues]
retention = 5

[[queues.producers]]
binding = "A"
queue = "one"

[[queues.producers]]
binding = "A"
queue = "two"

[[queues.consumers]]
queue = "one"
max_retries = 1000
type = "http_pull"

[[queues.consumers]]
queue = "one"
retry_delay = inf
max_batch_size = nan
`, "")
	assert.Equal(t, []string{
		`2: queues.consumers need the script's name, and the file has no valid key name for it`,
		`3: queues.retention is not a key here; there are producers, consumers`,
		`10: queues.producers[1].binding is "A", which another producer has`,
		`15: queues.consumers[0].max_retries is 1000, allowed: whole numbers from 0 to 100`,
		`16: queues.consumers[0].type is "http_pull", allowed: "worker"; other consumers are not configured in this file`,
		`19: queues.consumers[1].queue is "one", which another consumer has: a queue has one`,
		`20: queues.consumers[1].retry_delay is +Inf, allowed: whole seconds from 0 to 43200`,
		`21: queues.consumers[1].max_batch_size is NaN, allowed: whole numbers from 1 to 100`,
	}, problems(t, err))
}

func TestBlocksThatAreWrong(t *testing.T) {
	for text, want := range map[string]string{
		`{"queues": []}`:                                `queues is an array, allowed: an object`,
		`{"queues": null}`:                              `queues is null, allowed: an object`,
		`{"queues": {"consumers": {}}}`:                 `queues.consumers is an object, allowed: an array`,
		`{"queues": {"producers": ["a"]}}`:              `queues.producers[0] is "a", allowed: an object`,
		`{"queue": {"producers": []}}`:                  `queue is not a key here; queues is`,
		`{"Queues": {"producers": []}}`:                 `Queues is not a key here; queues is`,
		`{"queues": {"producer": []}}`:                  `queues.producer is not a key here; there are producers, consumers`,
		`{"name": "My Shop", "queues": {}}`:             `name is "My Shop", allowed: small letters, digits, underscores and, but for the first, dashes`,
		`{"name": 5, "queues": {}}`:                     `name is 5, allowed: a string`,
		`{"queues": {"producers": [{"binding": "A"}]}}`: `queues.producers[0].queue is missing, and without a script's name there is none by default`,
	} {
		_, err := environment(t, JSONC, text, "")
		assert.Equal(t, []string{"1: " + want}, problems(t, err), text)
	}
}

func TestEnvironmentsThatAreWrong(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:                          ` env.staging is missing; the file's environments: none`,
		`{"env": {"a": {}, "b": {}}}`: ` env.staging is missing; the file's environments: a, b`,
		`{"env": []}`:                 `1: env is an array, allowed: an object`,
		`{"env": {"staging": 1}}`:     `1: env.staging is 1, allowed: an object`,
		`{"env": {"staging": {"queues": {"a": 1}}}}`:          `1: env.staging.queues.a is not a key here; there are producers, consumers`,
		`{"name": "top", "env": {"staging": {"name": "NO"}}}`: `1: env.staging.name is "NO", allowed: small letters, digits, underscores and, but for the first, dashes`,
	} {
		_, err := environment(t, JSONC, text, "staging")
		assert.Equal(t, []string{want}, problems(t, err), text)
	}
}

func TestNamesOfScripts(t *testing.T) {
	for text, want := range map[string]string{
		`{"name": "a"}`: "a-e",
		`{"name": "a", "env": {"e": {"name": "b"}}}`: "b",
		`{"name": "a", "env": {"e": {"name": ""}}}`:  "a-e",
		`{"env": {"e": {"name": "b"}}}`:              "b",
		`{"env": {"e": {}}}`:                         "",
	} {
		if !strings.Contains(text, "env") {
			text = text[:len(text)-1] + `, "env": {"e": {}}}`
		}
		cfg, err := environment(t, JSONC, text, "e")
		require.NoError(t, err, text)
		assert.Equal(t, want, cfg.Script, text)
	}
}

func TestWhatHasNoEffect(t *testing.T) {
	cfg, err := environment(t, JSONC, `{"name": "s", "queues": {
		"producers": [
			{"binding": "MY_LOG"},
			{"binding": "B", "queue": "b", "remote": true, "delivery_delay": 5},
			{"binding": "C", "queue": "c", "remote": false}],
		"consumers": [{"queue": "c", "visibility_timeout_ms": 1000, "dead_letter_queue": "",
			"max_concurrency": null}]}}`, "")
	require.NoError(t, err)
	assert.Equal(t, []Producer{{"MY_LOG", "s-my-log"}, {"B", "b"}, {"C", "c"}}, cfg.Producers)
	assert.Equal(t, []Consumer{{"c", settings(nil)}}, cfg.Consumers)
	var warnings []string
	for _, w := range cfg.Warnings {
		warnings = append(warnings, w.String())
	}
	assert.Equal(t, []string{
		"wrangler.jsonc:4: queues.producers[1].delivery_delay has no effect: the delay is a setting of the queue",
		"wrangler.jsonc:4: queues.producers[1].remote has no effect: the queue is in this process",
		"wrangler.jsonc:6: queues.consumers[0].visibility_timeout_ms has no effect: it is a setting of pull consumers",
		"wrangler.jsonc:7: queues.consumers[0].max_concurrency is null, which wrangler refuses: left out, it means the same",
	}, warnings)
}

func TestUnknownKeysMayBeWarnings(t *testing.T) {
	f, err := Parse(TOML, []byte("name = \"s\"\nqueues.consumers = [ { queue = \"q\", max_wait = 5 } ]"))
	require.NoError(t, err)
	f.Lenient = true
	cfg, err := f.Environment("")
	require.NoError(t, err)
	require.Len(t, cfg.Warnings, 1)
	assert.Equal(t, "queues.consumers[0].max_wait", cfg.Warnings[0].Key)
}

func TestLimitsAreThoseOfTheFile(t *testing.T) {
	f, err := Parse(JSONC, []byte(`{"name": "s", "queues": {"consumers": [{"queue": "q",
		"max_batch_size": 500, "retry_delay": 86400, "max_batch_timeout": 3600, "max_retries": 101, "max_concurrency": 1000}]}}`))
	require.NoError(t, err)
	_, err = f.Environment("")
	assert.Len(t, problems(t, err), 5)

	f.Limits = inproq.Limits{
		MaxConsumerBatch: 500, MaxDelay: 24 * time.Hour, MaxBatchTimeout: inproq.NoLimit, MaxRetries: inproq.NoLimit, MaxConcurrency: inproq.NoLimit,
	}
	cfg, err := f.Environment("")
	require.NoError(t, err)
	assert.Equal(t, inproq.ConsumerSettings{
		MaxBatchSize: 500, RetryDelay: 24 * time.Hour, MaxBatchTimeout: time.Hour, MaxRetries: 101, MaxConcurrency: 1000,
	}, cfg.Consumers[0].Settings)

	f, err = Parse(JSONC, []byte(`{"name": "s", "queues": {"consumers": [{"queue": "q"}]}}`))
	require.NoError(t, err)
	f.Limits = inproq.Limits{MaxConsumerBatch: 4, MaxBatchTimeout: time.Second, MaxRetries: 1}
	cfg, err = f.Environment("")
	require.NoError(t, err)
	assert.Equal(t, inproq.ConsumerSettings{
		MaxBatchSize: 4, MaxBatchTimeout: time.Second, MaxRetries: 1, RetryDelay: inproq.NoDelay,
	}, cfg.Consumers[0].Settings)
}
