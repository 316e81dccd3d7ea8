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

func TestPartial(t *testing.T) {
	assert.False(t, Report{Count: 5}.partial())
	for _, r := range []Report{{Count: 4}, {Count: 5, Quick: true}, {Count: 5, Forced: true}, {Count: 5, Only: "x"}, {Count: 5, Broken: "x"}} {
		assert.True(t, r.partial(), "%+v", r)
	}
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

// The old results stay where the new ones cannot be written whole.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, replace(dir, map[string]string{"a": "old", "b": "old"}))
	require.NoError(t, replace(dir, map[string]string{"a": "new"}))
	require.Error(t, replace(dir, map[string]string{"a": "newer", "no/b": "newer"}))
	for name, want := range map[string]string{"a": "new", "b": "old"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.Equal(t, want, string(text))
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 2, "nothing temporary is left")
}

// A run that ends early leaves what it has, and says why.
func TestSalvage(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	require.NoError(t, salvage(Report{}, errBusy))
	entries, err := os.ReadDir(temp)
	require.NoError(t, err)
	assert.Empty(t, entries, "there was nothing")

	r := sampleReport()
	r.Tables = r.Tables[2:]
	require.NoError(t, salvage(r, errBusy))
	found, err := filepath.Glob(filepath.Join(temp, "*", resultsFile))
	require.NoError(t, err)
	require.Len(t, found, 1)
	text, err := os.ReadFile(found[0])
	require.NoError(t, err)
	assert.Contains(t, string(text), "> **The run has ended early: the machine is busy.**")
}
