package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"github.com/inproq/inproq"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newArchive has a bucket in memory.
func newArchive(t *testing.T) *archive {
	t.Helper()
	bucket := memblob.OpenBucket(nil)
	t.Cleanup(func() { assert.NoError(t, bucket.Close()) })
	return &archive{bucket: bucket}
}

// content returns the objects by their names.
func content(t *testing.T, bucket *blob.Bucket) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for objects := bucket.List(nil); ; {
		object, err := objects.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		text, err := bucket.ReadAll(t.Context(), object.Key)
		require.NoError(t, err)
		all[object.Key] = string(text)
	}
}

// texts returns the texts of all events, each ID once.
func texts(t *testing.T, objects map[string]string) []string {
	t.Helper()
	seen := make(map[inproq.MessageID]string)
	for _, object := range objects {
		for text := range strings.Lines(object) {
			var line Line
			require.NoError(t, json.Unmarshal([]byte(text), &line))
			seen[line.ID] = line.Text
		}
	}
	var all []string
	for _, text := range seen {
		all = append(all, text)
	}
	slices.Sort(all)
	return all
}

func TestAnObjectForEachBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newArchive(t)
		var out bytes.Buffer
		began := time.Now()
		require.NoError(t, run(t.Context(), &out, a.bucket, 30*time.Second))
		assert.Equal(t, 30*time.Second, time.Since(began), "the last 50 wait for more")

		var sizes []string
		for line := range strings.Lines(out.String()) {
			m := regexp.MustCompile(`^2000/01/01/[0-9a-f]{32}-[0-9a-f]{16}\.jsonl (\d+) events\n$`).FindStringSubmatch(line)
			require.NotNil(t, m, line)
			sizes = append(sizes, m[1])
		}
		assert.ElementsMatch(t, []string{"100", "100", "50"}, sizes)
		objects := content(t, a.bucket)
		assert.Len(t, objects, 3)
		assert.Len(t, texts(t, objects), 250)
	})
}

func TestEventsThatAreNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := memblob.OpenBucket(nil)
		require.NoError(t, bucket.Close())
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var out bytes.Buffer
		err := run(ctx, &out, bucket, 30*time.Second)
		assert.ErrorContains(t, err, "not all events are in the bucket")
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Empty(t, out.String())
	})
}

// Files and nothing else are in the directory.
func TestADirectoryAsTheBucket(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	require.NoError(t, inDir(dir, time.Millisecond))
	lines := 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		assert.Equal(t, ".jsonl", filepath.Ext(path))
		text, err := os.ReadFile(path)
		lines += bytes.Count(text, []byte("\n"))
		return err
	}))
	assert.Equal(t, 250, lines)
}
