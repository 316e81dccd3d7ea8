package layers

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A finding is something that a file must not have, and where.
type finding struct {
	pos  token.Pos
	what string
}

// goStatements: every goroutine has an owner that waits for it, so it is started
// with the Go method of a wait group.
func goStatements(file *ast.File) (found []finding) {
	ast.Inspect(file, func(n ast.Node) bool {
		if g, ok := n.(*ast.GoStmt); ok {
			found = append(found, finding{g.Pos(), "a bare go statement"})
		}
		return true
	})
	return found
}

// sleeps: nothing polls, so nothing sleeps or ticks.
func sleeps(file *ast.File) (found []finding) {
	for _, spec := range file.Imports {
		if path(spec) != "time" {
			continue
		}
		name := "time"
		if spec.Name != nil {
			name = spec.Name.Name
		}
		if name == "." {
			found = append(found, finding{spec.Pos(), "time imported without a name"})
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == name &&
					slices.Contains([]string{"Sleep", "Tick", "NewTicker"}, sel.Sel.Name) {
					found = append(found, finding{sel.Pos(), "time." + sel.Sel.Name})
				}
			}
			return true
		})
	}
	return found
}

// typeParameters: the rim is typed, the core is not.
func typeParameters(file *ast.File) (found []finding) {
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Type.TypeParams != nil {
				found = append(found, finding{d.Pos(), "type parameters of " + d.Name.Name})
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				if s, ok := s.(*ast.TypeSpec); ok && s.TypeParams != nil {
					found = append(found, finding{s.Pos(), "type parameters of " + s.Name.Name})
				}
			}
		}
	}
	return found
}

// refuse fails the test for each finding.
func (tr *tree) refuse(t *testing.T, found []finding) {
	for _, f := range found {
		assert.Fail(t, f.what, tr.at(f.pos))
	}
}

func TestNoBareGoStatement(t *testing.T) {
	tr := loaded(t)
	for _, s := range tr.code {
		tr.refuse(t, goStatements(s.file))
	}
}

// The conformance suite is a test in all but name: it waits for stores on the
// clock that they use.
func TestNothingSleeps(t *testing.T) {
	tr := loaded(t)
	for _, s := range tr.code {
		if s.pkg != "store/storetest" {
			tr.refuse(t, sleeps(s.file))
		}
	}
}

func TestGenericsStayAtTheRim(t *testing.T) {
	tr := loaded(t)
	containers := map[string]bool{"store/memory/ring.go": false} // used
	for _, s := range tr.code {
		if s.pkg == "." || s.pkg == "queuetest" {
			continue
		}
		found := typeParameters(s.file)
		if _, ok := containers[s.name]; ok {
			containers[s.name] = len(found) > 0
			continue
		}
		tr.refuse(t, found)
	}
	for name, used := range containers {
		assert.True(t, used, "%s is not generic, and needs no exception", name)
	}
}

// A file of the root is one concept, and fits into a head.
func TestRootFilesAreShort(t *testing.T) {
	const most = 400
	tr := loaded(t)
	for _, s := range tr.code {
		if s.pkg == "." {
			lines := tr.fset.File(s.file.FileStart).LineCount() - 1 // a last line without text
			assert.LessOrEqual(t, lines, most, "%s:%d: one concept too many", s.name, most)
		}
	}
}

// Each rule of this file, on source that breaks it once in each line marked BAD.
func TestRulesFindWhatTheyRefuse(t *testing.T) {
	const text = `package p

import (
	"sync"
	"time"
	clock "time"
)

type pair[K any] struct { k K }
type timed struct { at *time.Timer }
type deep struct { list []map[string]*timed }

var (
	a chan int                                       // BAD bubble
	b = make(chan struct{}, 1)                       // BAD bubble bubble
	c *time.Timer                                    // BAD bubble
	d sync.WaitGroup                                 // BAD bubble
	e struct { mu sync.Mutex; cond *sync.Cond }      // BAD bubble
	f [3]deep                                        // BAD bubble
	g pair[chan int]                                 // BAD bubble
	h any = make(chan int)                           // BAD bubble
	i = sync.Pool{New: func() any { return new(deep) }} // BAD bubble
	j = sync.Pool{New: func() any { return new(pair[int]) }}
	k sync.Mutex
	l func(chan int)
	m time.Duration
	_ chan int
	_ = make(chan int)
)

func each[T any](T) {}

func run() {
	n := make(chan int)
	go close(n)        // BAD go
	func() {
		go run()       // BAD go
	}()
	time.Sleep(1)      // BAD sleep
	clock.Sleep(1)     // BAD sleep
	<-time.Tick(1)     // BAD sleep
	_ = time.NewTicker // BAD sleep
	_ = time.NewTimer
}
`
	tr := loaded(t)
	file, err := parser.ParseFile(tr.fset, "planted.go", text, parser.SkipObjectResolution)
	require.NoError(t, err)
	info, err := tr.check("github.com/inproq/inproq/planted", []*ast.File{file})
	require.NoError(t, err)

	lines := func(rule string, found []finding) {
		t.Helper()
		var want, got []string
		for n, line := range strings.Split(text, "\n") {
			_, marks, _ := strings.Cut(line, "// BAD")
			for range strings.Count(marks, rule) {
				want = append(want, fmt.Sprintf("planted.go:%d", n+1))
			}
		}
		for _, f := range found {
			got = append(got, tr.at(f.pos))
		}
		assert.ElementsMatch(t, want, got, rule)
		assert.NotEmpty(t, want)
	}
	lines("bubble", bubbleHazards([]*ast.File{file}, info))
	lines("go", goStatements(file))
	lines("sleep", sleeps(file))
	assert.Len(t, typeParameters(file), 2)
}
