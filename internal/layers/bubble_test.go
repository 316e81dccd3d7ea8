package layers

import (
	"go/ast"
	"go/token"
	"go/types"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// bubbleHazards: a channel, timer, wait group or cond at package level ties
// together the synctest bubbles of tests that know nothing of each other. So does
// a pool of what holds one.
func bubbleHazards(files []*ast.File, info *types.Info) (found []finding) {
	for _, file := range files {
		for _, d := range file.Decls {
			d, ok := d.(*ast.GenDecl)
			if !ok || d.Tok != token.VAR {
				continue
			}
			for _, s := range d.Specs {
				s := s.(*ast.ValueSpec)
				if !slices.ContainsFunc(s.Names, func(name *ast.Ident) bool { return name.Name != "_" }) {
					continue // nothing stays
				}
				for _, name := range s.Names {
					if obj := info.Defs[name]; obj != nil {
						found = add(found, name, obj.Type(), "variable "+name.Name)
					}
				}
				for _, value := range s.Values {
					found = add(found, value, info.TypeOf(value), "value of variable "+s.Names[0].Name)
					ast.Inspect(value, func(n ast.Node) bool {
						if r, ok := n.(*ast.ReturnStmt); ok { // New of a pool
							for _, result := range r.Results {
								found = add(found, result, info.TypeOf(result), "made for variable "+s.Names[0].Name)
							}
						}
						return true
					})
				}
			}
		}
	}
	return found
}

func add(found []finding, n ast.Node, t types.Type, what string) []finding {
	if h := hazard(t, map[types.Type]bool{}); h != "" {
		return append(found, finding{n.Pos(), what + " holds a " + h})
	}
	return found
}

// hazard names what t holds that blocks, "" if nothing.
func hazard(t types.Type, seen map[types.Type]bool) string {
	if t == nil || seen[t] {
		return ""
	}
	seen[t] = true
	parts := []types.Type{}
	switch t := types.Unalias(t).(type) {
	case *types.Chan:
		return "channel"
	case *types.Named:
		for arg := range t.TypeArgs().Types() {
			parts = append(parts, arg)
		}
		if pkg := t.Obj().Pkg(); pkg != nil && !ours(pkg.Path()) {
			name := pkg.Path() + "." + t.Obj().Name()
			if slices.Contains([]string{"time.Timer", "time.Ticker", "sync.WaitGroup", "sync.Cond"}, name) {
				return name
			}
			break // what others hide is theirs
		}
		parts = append(parts, t.Underlying())
	case *types.Pointer:
		parts = append(parts, t.Elem())
	case *types.Slice:
		parts = append(parts, t.Elem())
	case *types.Array:
		parts = append(parts, t.Elem())
	case *types.Map:
		parts = append(parts, t.Key(), t.Elem())
	case *types.Struct:
		for f := range t.Fields() {
			parts = append(parts, f.Type())
		}
	}
	for _, p := range parts {
		if h := hazard(p, seen); h != "" {
			return h
		}
	}
	return ""
}

func TestNoPackageLevelVariableBlocks(t *testing.T) {
	tr := loaded(t)
	for _, importPath := range slices.Sorted(maps.Keys(tr.packages)) {
		p := tr.packages[importPath]
		if p.DepOnly {
			continue
		}
		var files []*ast.File
		for _, s := range tr.code {
			if s.pkg == relative(importPath) && slices.ContainsFunc(p.GoFiles, func(name string) bool {
				return s.name == name || strings.HasSuffix(s.name, "/"+name)
			}) {
				files = append(files, s.file)
			}
		}
		info, err := tr.check(importPath, files)
		require.NoError(t, err)
		tr.refuse(t, bubbleHazards(files, info))
	}
}
