package wranglerconfig

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// shops are the same configuration in both formats.
var shops = []string{"testdata/shop.toml", "testdata/shop.jsonc"}

// settings are what an empty consumer has.
func settings(change func(*inproq.ConsumerSettings)) inproq.ConsumerSettings {
	s := inproq.ConsumerSettings{MaxBatchSize: 10, MaxBatchTimeout: 5 * time.Second, MaxRetries: 3, RetryDelay: inproq.NoDelay}
	if change != nil {
		change(&s)
	}
	return s
}

func TestShopsInBothFormats(t *testing.T) {
	want := map[string]Config{
		"": {
			Script:    "shop",
			Producers: []Producer{{"ORDERS", "orders"}, {"AUDIT_LOG", "audit"}},
			Consumers: []Consumer{
				{"orders", inproq.ConsumerSettings{
					MaxBatchSize: 50, MaxBatchTimeout: 2500 * time.Millisecond, MaxRetries: 5,
					RetryDelay: 30 * time.Second, MaxConcurrency: 4, DeadLetterQueue: "orders-dead",
				}},
				{"audit", settings(nil)},
			},
		},
		"staging": {
			Script:    "shop-staging",
			Producers: []Producer{{"ORDERS", "orders-staging"}},
			Consumers: []Consumer{{"orders-staging", settings(func(s *inproq.ConsumerSettings) {
				s.MaxRetries, s.MaxBatchTimeout = inproq.NoRetries, inproq.NoWait
			})}},
		},
		"production": {
			Script:    "the-shop",
			Producers: []Producer{{"ORDERS", "orders"}, {"AUDIT_LOG", "audit"}},
			Consumers: []Consumer{{"orders", settings(func(s *inproq.ConsumerSettings) { s.MaxBatchSize = 100 })}},
		},
		"preview": {Script: "shop-preview"},
	}
	for _, path := range shops {
		t.Run(filepath.Ext(path), func(t *testing.T) {
			f, err := Load(path)
			require.NoError(t, err)
			assert.Equal(t, []string{"staging", "production", "preview"}, f.Environments())
			for env, want := range want {
				got, err := f.Environment(env)
				require.NoError(t, err, env)
				got.Warnings = nil
				assert.Equal(t, want, got, env)
			}
		})
	}
}

func TestWarningsOfTheShops(t *testing.T) {
	for path, lines := range map[string][2]int{"testdata/shop.toml": {31, 24}, "testdata/shop.jsonc": {18, 15}} {
		f, err := Load(path)
		require.NoError(t, err)
		cfg, err := f.Environment("")
		require.NoError(t, err)
		assert.Equal(t, []Problem{{
			File: path, Line: lines[0], Key: "queues.producers[1].delivery_delay",
			Text: "has no effect: the delay is a setting of the queue",
		}}, cfg.Warnings)
		cfg, err = f.Environment("preview")
		require.NoError(t, err)
		assert.Equal(t, []Problem{{
			File: path, Line: lines[1], Key: "queues", Text: "is not inherited: env.preview.queues does not exist",
		}}, cfg.Warnings)
		cfg, err = f.Environment("staging")
		require.NoError(t, err)
		assert.Empty(t, cfg.Warnings)
	}
}

func TestQueueOfABinding(t *testing.T) {
	cfg := Config{Producers: []Producer{{"A", "one"}, {"B", "two"}}}
	name, ok := cfg.Queue("B")
	assert.True(t, ok)
	assert.Equal(t, "two", name)
	_, ok = cfg.Queue("b")
	assert.False(t, ok)
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	for name, text := range map[string]string{
		"wrangler.json":  `{"name": "a"}`,
		"wrangler.jsonc": "\xef\xbb\xbf{\"name\": \"a\",}\r\n",
		"wrangler.toml":  "\xef\xbb\xbfname = \"a\"\r\n",
	} {
		f, err := Load(write(name, text))
		require.NoError(t, err, name)
		cfg, err := f.Environment("")
		require.NoError(t, err)
		assert.Equal(t, Config{Script: "a"}, cfg, name)
	}
	_, err := Load(filepath.Join(dir, "none.toml"))
	assert.ErrorIs(t, err, os.ErrNotExist)
	_, err = Load(write("wrangler.yaml", "name: a"))
	assert.ErrorContains(t, err, "the extension has to be .toml, .jsonc or .json")
	_, err = Load(write("large.json", strings.Repeat(" ", MaxFileBytes+1)))
	assert.ErrorContains(t, err, "large.json has more than 1048576 bytes")
	_, err = Load(write("full.json", "{}"+strings.Repeat(" ", MaxFileBytes-2)))
	assert.NoError(t, err)
	_, err = Parse("yaml", nil)
	assert.ErrorContains(t, err, `format is "yaml", allowed: toml, jsonc`)
}

func TestSyntaxErrorsTellTheLine(t *testing.T) {
	for text, want := range map[string]string{
		"{\n  \"name\": \"a\"\n  \"queues\": {}\n}": "wrangler.jsonc:3: column 3: ",
		"{\"name\": \"a\",\n \"name\": \"b\"}":      `wrangler.jsonc:2: key "name" appears twice, first in line 1`,
		"\n[]":                                      "wrangler.jsonc:2: the file is an array, not an object",
		"":                                          "wrangler.jsonc",
	} {
		_, err := Parse(JSONC, []byte(text))
		assert.ErrorIs(t, err, inproq.ErrInvalidConfig)
		assert.ErrorContains(t, err, want)
	}
	for text, want := range map[string]string{
		"name = \"a\"\n[[queues.consumers]\n": "wrangler.toml:2: column ",
		"name = \"a\"\n\nname = \"b\"\n":      "wrangler.toml:3: column ",
		"a = \"\xff\"":                        "wrangler.toml:1: column ",
	} {
		_, err := Parse(TOML, []byte(text))
		assert.ErrorIs(t, err, inproq.ErrInvalidConfig)
		assert.ErrorContains(t, err, want)
	}
}

// Deep nesting costs stack, no more.
func TestDeepNesting(t *testing.T) {
	const n = 5000
	nested := strings.Repeat("[", n) + strings.Repeat("]", n)
	for format, text := range map[Format]string{
		JSONC: `{"queues": ` + nested + "}",
		TOML:  "queues = " + nested,
	} {
		if f, err := Parse(format, []byte(text)); err == nil {
			_, err = f.Environment("")
			assert.ErrorContains(t, err, "queues is an array, allowed: an object")
		}
	}
}
