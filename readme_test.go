package inproq_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every snippet of the README is a part of a program or an Example, so it
// compiles and does what it says.
func TestReadmeSnippetsAreExamples(t *testing.T) {
	var sources strings.Builder
	for _, pattern := range []string{"example_*_test.go", "queuetest/example_*_test.go", "examples/*/*.go"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, files, pattern)
		for _, f := range files {
			text, err := os.ReadFile(f)
			require.NoError(t, err)
			sources.WriteString(unindented(string(text)))
		}
	}
	snippets := blocks(t, "go")
	require.GreaterOrEqual(t, len(snippets), 3)
	for _, s := range snippets {
		assert.Contains(t, sources.String(), unindented(s))
	}
}

// The output that the README shows is that of the program.
func TestReadmeOutput(t *testing.T) {
	shown := blocks(t, "console")[0]
	command, want, ok := strings.Cut(strings.TrimPrefix(shown, "$ "), "\n")
	require.True(t, ok)
	args := strings.Fields(command)
	got, err := exec.Command(args[0], args[1:]...).Output()
	require.NoError(t, err)
	assert.Equal(t, want, string(got))
}

// The README's program is short enough to be read at a glance.
func TestReadmeProgramIsShort(t *testing.T) {
	program := blocks(t, "go")[0]
	assert.LessOrEqual(t, strings.Count(program, "\n"), 25)
}

// blocks returns the fenced blocks of the README in a language.
func blocks(t *testing.T, language string) []string {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	var found []string
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(string(readme), -1) {
		found = append(found, m[1])
	}
	require.NotEmpty(t, found)
	return found
}

// unindented is a text without the white space that its lines begin with.
func unindented(s string) string {
	return regexp.MustCompile(`(?m)^[ \t]+`).ReplaceAllString(s, "")
}
