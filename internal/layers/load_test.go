package layers

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	module = "github.com/inproq/inproq"
	top    = "../.." // the module's directory, seen from here
)

// A listing is what the go command says about a package.
type listing struct {
	ImportPath, Dir, Export   string
	Standard, DepOnly         bool
	GoFiles, IgnoredGoFiles   []string
	TestGoFiles, XTestGoFiles []string
	Imports                   []string
}

// A source is a file, with its name as seen from the module's directory.
type source struct {
	pkg  string // "." for the root, else its directory
	name string
	file *ast.File
}

// A tree is the module's source.
type tree struct {
	fset     *token.FileSet
	packages map[string]*listing // of the module and of all it needs, by import path
	code     []source            // files that are no tests, whatever their build tags
	tests    []source
}

// load reads the module once for all tests. It asks the go command, but neither
// the network nor, whatever GOFLAGS says, for a change of go.mod.
var load = sync.OnceValues(func() (*tree, error) {
	// The go command looks behind the back of the test cache, so look at all
	// directories: then a new file is one more reason to run these tests again.
	if err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != top {
			return filepath.SkipDir
		}
		return err
	}); err != nil {
		return nil, err
	}
	cmd := exec.Command("go", "list", "-mod=readonly", "-deps", "-export",
		"-json=ImportPath,Dir,Export,Standard,DepOnly,GoFiles,IgnoredGoFiles,TestGoFiles,XTestGoFiles,Imports", "./...")
	cmd.Dir = top
	cmd.Env = append(os.Environ(), "GOPROXY=off")
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			err = fmt.Errorf("go list: %w\n%s", err, exit.Stderr)
		}
		return nil, err
	}
	tr := &tree{fset: token.NewFileSet(), packages: map[string]*listing{}}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		p := new(listing)
		if err := d.Decode(p); errors.Is(err, io.EOF) {
			return tr, nil
		} else if err != nil {
			return nil, err
		}
		tr.packages[p.ImportPath] = p
		if p.DepOnly {
			continue
		}
		if tr.code, err = tr.parse(tr.code, p, false, p.GoFiles, p.IgnoredGoFiles); err != nil {
			return nil, err
		}
		if tr.tests, err = tr.parse(tr.tests, p, true, p.TestGoFiles, p.XTestGoFiles, p.IgnoredGoFiles); err != nil {
			return nil, err
		}
	}
})

func (tr *tree) parse(to []source, p *listing, tests bool, names ...[]string) ([]source, error) {
	pkg := relative(p.ImportPath)
	for _, list := range names {
		for _, name := range list {
			if strings.HasSuffix(name, "_test.go") != tests {
				continue // a test among the files that build tags exclude
			}
			text, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				return nil, err
			}
			short := filepath.Join(pkg, name)
			file, err := parser.ParseFile(tr.fset, short, text, parser.SkipObjectResolution)
			if err != nil {
				return nil, err
			}
			to = append(to, source{pkg: pkg, name: short, file: file})
		}
	}
	return to, nil
}

func relative(importPath string) string {
	if importPath == module {
		return "."
	}
	return strings.TrimPrefix(importPath, module+"/")
}

func ours(importPath string) bool {
	return importPath == module || strings.HasPrefix(importPath, module+"/")
}

func loaded(t *testing.T) *tree {
	t.Helper()
	tr, err := load()
	require.NoError(t, err)
	require.NotEmpty(t, tr.code)
	return tr
}

// at says where something is: file and line.
func (tr *tree) at(pos token.Pos) string {
	p := tr.fset.Position(pos)
	return fmt.Sprintf("%s:%d", p.Filename, p.Line)
}

// importOf says where a package imports another.
func (tr *tree) importOf(importPath, by string) string {
	for _, s := range tr.code {
		for _, spec := range s.file.Imports {
			if s.pkg == relative(by) && path(spec) == importPath {
				return tr.at(spec.Pos())
			}
		}
	}
	return by
}

func path(spec *ast.ImportSpec) string {
	p, _ := strconv.Unquote(spec.Path.Value) // the parser has read it
	return p
}

// check resolves the types of one package's files.
func (tr *tree) check(importPath string, files []*ast.File) (*types.Info, error) {
	lookup := func(path string) (io.ReadCloser, error) {
		p := tr.packages[path]
		if p == nil || p.Export == "" {
			return nil, fmt.Errorf("no export data of %s", path)
		}
		return os.Open(p.Export)
	}
	info := &types.Info{Defs: map[*ast.Ident]types.Object{}, Types: map[ast.Expr]types.TypeAndValue{}}
	conf := types.Config{Importer: importer.ForCompiler(tr.fset, "gc", lookup)}
	_, err := conf.Check(importPath, tr.fset, files, info)
	return info, err
}
