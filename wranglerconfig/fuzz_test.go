package wranglerconfig

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"github.com/inproq/inproq"
)

// checkFile is what holds for every file that parses: it is read without a panic, every
// problem is in the file, and what has none is accepted by a broker, where it changes
// nothing the second time.
func checkFile(t *testing.T, data []byte, f *File) {
	last := bytes.Count(data, []byte("\n")) + 1
	for _, env := range append([]string{""}, f.Environments()...) {
		cfg, err := f.Environment(env)
		found := cfg.Warnings
		if err != nil {
			all, ok := errors.AsType[*Error](err)
			if !ok || len(all.Problems) == 0 || !errors.Is(err, inproq.ErrInvalidConfig) {
				t.Fatalf("not an Error: %v", err)
			}
			found = all.Problems
		}
		for _, p := range found {
			if p.Line < 1 || p.Line > last || p.Key == "" || p.Text == "" {
				t.Fatalf("problem %#v in %d lines", p, last)
			}
		}
		if err == nil {
			checkApplies(t, cfg)
		}
	}
}

func checkApplies(t *testing.T, cfg Config) {
	b, err := inproq.NewBroker(inproq.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Shutdown(context.Background()) }()
	if _, err := Apply(t.Context(), b, cfg); err != nil {
		t.Fatalf("refused: %v", err)
	}
	if r, err := Apply(t.Context(), b, cfg); err != nil || len(r.Changes) > 0 {
		t.Fatalf("changes the second time: %v, %v", r, err)
	}
}

func seeds(f *testing.F, path string, more ...string) {
	data, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	for _, s := range more {
		f.Add([]byte(s))
	}
}

func FuzzJSONC(f *testing.F) {
	seeds(f, "testdata/shop.jsonc",
		`{"name":"s","queues":{"producers":[{"binding":"A_B"}],"consumers":[{"queue":"q","max_retries":1e2}]}}`,
		`{"queues":{"consumers":[{"queue":"q","max_batch_timeout":0.0009765625,"type":"http_pull"}]}} // end`,
		"{/**/\"env\":{\"\\u0000\":{\"queues\":null}},}")
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(JSONC, data)
		if err != nil {
			// Whatever is an object in JSON is one here, but for keys that appear twice.
			var std map[string]any
			if json.Unmarshal(data, &std) == nil && std != nil && !bytes.Contains([]byte(err.Error()), []byte("appears twice")) && bytes.Equal(data, bytes.ToValidUTF8(data, nil)) {
				t.Fatalf("valid JSON is refused: %v", err)
			}
			return
		}
		checkFile(t, data, file)
	})
}

func FuzzTOML(f *testing.F) {
	seeds(f, "testdata/shop.toml",
		"name = 's'\nqueues = { producers = [{ binding = \"A\" }], consumers = [\n{ queue = \"q\", retry_delay = 0x10 }] }",
		"[[env.\"a.b\".queues.consumers]]\n\"max_retries\" = nan\n[[env.\"a.b\".queues.consumers]]\nqueue.x = 1",
		"queues.consumers = [ { queue = 2026-01-01 }, [], { queue = '''\nq''' } ]")
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(TOML, data)
		if err != nil {
			return
		}
		checkFile(t, data, file)
	})
}
