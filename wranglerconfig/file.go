package wranglerconfig

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/inproq/inproq"
)

// MaxFileBytes is how large a configuration may be. Larger ones are refused before they
// are parsed.
const MaxFileBytes = 1 << 20

// Format is how a configuration is written.
type Format string

// The formats.
const (
	TOML  Format = "toml"
	JSONC Format = "jsonc" // JSON with comments and trailing commas, and so also JSON
)

// A File is a parsed configuration. Its fields may be set before
// [File.Environment] is called, which is safe for concurrent use.
type File struct {
	// Path names the file in problems. Parse sets wrangler.toml or wrangler.jsonc.
	Path string
	// Limits are those that values are checked against. A zero field means the default
	// of that field, [inproq.NoLimit] none. A broker that has others, and checks again,
	// tells them: [inproq.Broker.Limits].
	Limits inproq.Limits
	// Lenient makes unknown keys warnings, as wrangler has them. Default: errors.
	Lenient bool

	root *value
}

// Load reads the file at path; its extension, .toml, .jsonc or .json, tells the format.
//
// Errors: those of reading it, of another extension, and those of [Parse].
func Load(path string) (*File, error) {
	var format Format
	switch filepath.Ext(path) {
	case ".toml":
		format = TOML
	case ".jsonc", ".json":
		format = JSONC
	default:
		return nil, fmt.Errorf("wranglerconfig: %s: the extension has to be .toml, .jsonc or .json", path)
	}
	data, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("wranglerconfig: %w", err)
	}
	return parse(path, format, data)
}

// read reads no more than it takes to see that a file is too large.
func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxFileBytes+1))
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return data, err
}

// Parse reads a configuration from data, which it does not keep. It sees to the syntax
// alone.
//
// Errors: an [*Error] that tells line and column; one for more than [MaxFileBytes], for
// an unknown format.
func Parse(format Format, data []byte) (*File, error) {
	return parse("wrangler."+string(format), format, data)
}

func parse(path string, format Format, data []byte) (*File, error) {
	if len(data) > MaxFileBytes {
		return nil, fmt.Errorf("wranglerconfig: %s has more than %d bytes", path, MaxFileBytes)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // of editors on Windows
	var root *value
	var problem *Problem
	switch format {
	case TOML:
		root, problem = parseTOML(data)
	case JSONC:
		root, problem = parseJSONC(data)
	default:
		return nil, fmt.Errorf("wranglerconfig: format is %q, allowed: toml, jsonc", format)
	}
	if problem == nil && root.kind != object {
		problem = &Problem{Line: root.line, Text: "the file is " + root.kind.String() + ", not an object"}
	}
	if problem != nil {
		problem.File = path
		return nil, &Error{Problems: []Problem{*problem}}
	}
	return &File{Path: path, root: root}, nil
}
