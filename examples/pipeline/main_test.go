package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/inproq/inproq"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func Example() {
	main()
	// Output:
	// uploaded queues.txt 202 Accepted
	// uploaded haiku.txt  202 Accepted
	// uploaded blank.txt  202 Accepted
	// uploaded novel.txt  413 Request Entity Too Large
	// blank.txt  failed: the document has no words
	// haiku.txt  15 words, often closed, knows, last: "the line at the till nobody knows who is last the shop has closed."
	// queues.txt 22 words, often messages, does, fail: "A queue keeps messages until somebody has time for them."
}

// newTestPipeline makes a pipeline with a database of its own.
func newTestPipeline(t *testing.T) *pipeline {
	t.Helper()
	db, err := openDatabase(t.Context(), filepath.Join(t.TempDir(), "documents.db"))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	p, err := newPipeline(t.Context(), db)
	require.NoError(t, err)
	return p
}

// saved returns what the database has.
func (p *pipeline) saved(t *testing.T) []row {
	t.Helper()
	rows, err := p.db.all(t.Context())
	require.NoError(t, err)
	return rows
}

// document is a message of the queue. The last byte of its id is n.
func document(n byte, name, text string) inproq.Message[Document] {
	return inproq.Message[Document]{ID: inproq.MessageID{15: n}, Body: Document{Name: name, Text: text}}
}

func TestSummarise(t *testing.T) {
	for text, want := range map[string]summary{
		"One":                             {first: "One", words: 1},
		"Is it? It is.":                   {first: "Is it?", words: 4},
		"Go 1.26 is out! And then":        {first: "Go 1.26 is out!", words: 7, frequent: []string{"then"}},
		"wait, Wait and DON'T don't aaaa": {first: "wait, Wait and DON'T don't aaaa", words: 6, frequent: []string{"don't", "wait", "aaaa"}},
		"äöüß\n\n  bbbb cccc dddd dddd.":  {first: "äöüß bbbb cccc dddd dddd.", words: 5, frequent: []string{"dddd", "bbbb", "cccc"}},
	} {
		got, err := summarise(text)
		require.NoError(t, err)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{"", " \n", "?! ..."} {
		_, err := summarise(text)
		assert.ErrorIs(t, err, errNoWords, "%q", text)
	}
}
