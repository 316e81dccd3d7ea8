package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A part, or a trial, does not replace the results of a whole run by accident.
func TestDirectory(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dir, err := directory("", false)
	require.NoError(t, err)
	assert.Equal(t, ".", dir)

	dir, err = directory("", true)
	require.NoError(t, err)
	assert.DirExists(t, dir)
	assert.NotEqual(t, ".", dir)

	asked := filepath.Join(t.TempDir(), "some", "where")
	dir, err = directory(asked, true)
	require.NoError(t, err)
	assert.Equal(t, asked, dir)
	assert.DirExists(t, asked)
}

// Contestants that have failed are in the results, and fail the run.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	err := write(dir, sampleReport())
	assert.ErrorContains(t, err, chartSingle+"/a <b> & c: no | ink")
	text, err := os.ReadFile(filepath.Join(dir, resultsFile))
	require.NoError(t, err)
	assert.Equal(t, results(sampleReport()), string(text))
	assert.FileExists(t, filepath.Join(dir, chartFile))

	r := sampleReport()
	r.Tables = r.Tables[2:]
	require.NoError(t, write(t.TempDir(), r))
}
