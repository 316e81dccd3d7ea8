package layers

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mayImport names, for each package, those of ours that it may import; "internal"
// stands for all below it. Imports point strictly down.
var mayImport = map[string][]string{
	// The leaves: they know nothing of queues as a whole, and import nothing.
	"store":                {},
	"internal/timingwheel": {},
	"internal/settlement":  {},
	"internal/headers":     {},
	"internal/leasetoken":  {},
	"internal/autoscale":   {},
	"internal/invariant":   {},
	"internal/layers":      {},
	// A store sees the seam, and none of the rooms behind it.
	"store/memory":    {"store", "internal/timingwheel", "internal/invariant"},
	"store/storetest": {"store"},
	// The engine moves bytes for any store; testhook shows it to queuetest.
	"internal/dispatch": {"store", "internal/settlement", "internal/headers", "internal/autoscale", "internal/invariant"},
	"internal/testhook": {"internal/dispatch", "store"},
	// The rim, and what users build on it.
	".":         {"store", "store/memory", "internal"},
	"queuetest": {".", "store", "store/memory", "internal"},
	// What is built on the public API alone.
	"eventsub": {"."},
	"httpapi":  {".", "eventsub"},
	"examples": {".", "queuetest"}, // every example, in its tests too
}

// outsiders are the modules that code may depend on.
var outsiders = []string{"github.com/google/uuid"}

// testLibraries are for tests only, also in the packages that help users' tests.
var testLibraries = []string{"github.com/stretchr/testify", "go.uber.org/goleak", "pgregory.net/rapid"}

// testers help users' tests, and so may import package testing.
var testers = []string{"queuetest", "store/storetest"}

// within reports whether path is one of the packages or below one.
func within(path string, packages []string) bool {
	return slices.ContainsFunc(packages, func(p string) bool {
		return path == p || p != "." && strings.HasPrefix(path, p+"/")
	})
}

func layerOf(pkg string) string {
	if strings.HasPrefix(pkg, "examples/") {
		return "examples"
	}
	return pkg
}

// misplaced says what is wrong with an import in code (or a test) of a package,
// "" if nothing is.
func misplaced(pkg, imported string, test bool) string {
	switch {
	case ours(imported):
		may := mayImport[layerOf(pkg)]
		target := relative(imported)
		if test && layerOf(pkg) != "examples" || target == pkg {
			return ""
		}
		if slices.Contains(may, target) || slices.Contains(may, "internal") && strings.HasPrefix(target, "internal/") {
			return ""
		}
		return "imports point down: " + pkg + " may import " + cmp.Or(strings.Join(may, ", "), "nothing") + " of ours"
	case test:
		return ""
	case within(imported, testLibraries):
		return "a test library in code"
	case within(imported, []string{"testing"}) && !slices.Contains(testers, pkg):
		return "only packages for users' tests import testing"
	case strings.Contains(strings.Split(imported, "/")[0], ".") && !within(imported, outsiders):
		return "a dependency beyond the standard library and " + strings.Join(outsiders, ", ")
	}
	return ""
}

func TestImportsPointDown(t *testing.T) {
	tr := loaded(t)
	for test, files := range map[bool][]source{false: tr.code, true: tr.tests} {
		for _, s := range files {
			for _, spec := range s.file.Imports {
				if problem := misplaced(s.pkg, path(spec), test); problem != "" {
					assert.Fail(t, problem, "%s: imports %s", tr.at(spec.Pos()), path(spec))
				}
			}
		}
	}
}

// A package without a layer is not checked, and a layer without a package says
// nothing.
func TestEveryPackageHasALayer(t *testing.T) {
	found := map[string]bool{}
	for _, s := range loaded(t).code {
		layer := layerOf(s.pkg)
		if _, ok := mayImport[layer]; !ok && !found[layer] {
			assert.Fail(t, "package without a layer", "%s:1: add %s to mayImport", s.name, s.pkg)
		}
		found[layer] = true
	}
	for _, layer := range slices.Sorted(maps.Keys(mayImport)) {
		assert.True(t, found[layer], "layer %s has no package", layer)
	}
}

// Importing the core costs the standard library and uuid, through others too.
func TestDependenciesOfTheRoot(t *testing.T) {
	tr := loaded(t)
	seen := map[string]bool{}
	var visit func(importPath, by string)
	visit = func(importPath, by string) {
		p := tr.packages[importPath]
		if seen[importPath] || importPath == "C" || importPath == "unsafe" || p != nil && p.Standard {
			return
		}
		seen[importPath] = true
		require.NotNil(t, p, "%s imports %s, which go list does not tell", by, importPath)
		if !ours(importPath) && !within(importPath, outsiders) {
			assert.Fail(t, "a dependency of the core", "%s is imported at %s", importPath, tr.importOf(importPath, by))
			return
		}
		for _, i := range p.Imports {
			visit(i, importPath)
		}
	}
	visit(module, "")
	assert.True(t, seen[outsiders[0]], "the walk reaches what is known to be needed")
	assert.True(t, seen[module+"/internal/timingwheel"])
}

// The rules of this file, on imports that must not pass and some that must.
func TestMisplacedImportsAreFound(t *testing.T) {
	for _, c := range []struct {
		pkg, imported string
		test, wrong   bool
	}{
		{"store", module + "/store/memory", false, true},
		{"store", module + "/internal/invariant", false, true},
		{"store", "time", false, false},
		{"store/memory", module, false, true},
		{"store/memory", module + "/internal/dispatch", false, true},
		{"store/memory", module + "/internal/timingwheel", false, false},
		{"store/memory", module + "/store/storetest", true, false},
		{"store/memory", module + "/store/storetest", false, true},
		{"internal/headers", module + "/store", false, true},
		{"internal/settlement", module + "/internal/headers", false, true},
		{"internal/dispatch", module, false, true},
		{"internal/dispatch", module + "/store/memory", false, true},
		{"internal/dispatch", module + "/internal/timingwheel", false, true},
		{"internal/dispatch", module + "/internal/settlement", false, false},
		{"store/storetest", module + "/store/memory", false, true},
		{"store/storetest", "github.com/stretchr/testify/require", false, true},
		{"store/storetest", "testing/synctest", false, false},
		{".", module + "/internal/dispatch", false, false},
		{".", module + "/queuetest", false, true},
		{".", "testing", false, true},
		{".", "go.uber.org/goleak", false, true},
		{".", "pgregory.net/rapid", false, true},
		{".", "pgregory.net/rapid", true, false},
		{".", "github.com/google/uuid", false, false},
		{".", "golang.org/x/sync/errgroup", false, true},
		{"queuetest", module, false, false},
		{"queuetest", "testing", false, false},
		{"queuetest", "github.com/stretchr/testify/assert", false, true},
		{"examples/any", module, false, false},
		{"examples/any", module + "/queuetest", true, false},
		{"examples/any", module + "/internal/dispatch", false, true},
		{"examples/any", module + "/internal/dispatch", true, true},
		{"examples/any", module + "/store/memory", false, true},
	} {
		problem := misplaced(c.pkg, c.imported, c.test)
		assert.Equal(t, c.wrong, problem != "", "%s imports %s: %q", c.pkg, c.imported, problem)
	}
}
