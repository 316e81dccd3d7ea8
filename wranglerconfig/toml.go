package wranglerconfig

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// parseTOML reads TOML. The decoder gives the values but no lines, the parser below it
// lines but no values: each is asked for what it knows, and the decoder first, because
// it alone finds what a document must not say twice.
func parseTOML(data []byte) (*value, *Problem) {
	var root map[string]any
	if err := toml.Unmarshal(data, &root); err != nil {
		if at, ok := errors.AsType[*toml.DecodeError](err); ok {
			line, column := at.Position()
			return nil, &Problem{Line: line, Text: fmt.Sprintf("column %d: %v", column, err)}
		}
		return nil, &Problem{Text: err.Error()}
	}
	at, err := placesOf(data)
	if err != nil {
		return nil, &Problem{Text: err.Error()} // the decoder would have said so
	}
	return at.value("", 1, root), nil
}

// places has the line of each key and element, by path. The lines are for people: where
// a path is missing that of its container stands in.
type places struct {
	lines    newlines
	at       map[string]int
	elements map[string]int // how many tables an array of tables has so far
}

func placesOf(data []byte) (*places, error) {
	p := &places{lines: newlinesOf(data), at: map[string]int{}, elements: map[string]int{}}
	var parser unstable.Parser
	parser.Reset(data)
	table := ""
	for parser.NextExpression() {
		switch e := parser.Expression(); e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = p.header(e)
		case unstable.KeyValue:
			p.keyValue(table, e)
		}
	}
	return p, parser.Error()
}

func key(path, name string) string        { return path + "\x00" + name }
func element(path string, i int) string   { return path + "\x01" + strconv.Itoa(i) }
func (p *places) note(path string, n int) { p.at[path] = cmp.Or(p.at[path], n) }

// header notes the table or array of tables that begins here, and returns its path. On
// the way there a name that is an array of tables means its latest one.
func (p *places) header(e *unstable.Node) string {
	path := ""
	for it := e.Key(); it.Next(); {
		n := it.Node()
		path = key(path, string(n.Data))
		line := p.lines.line(int(n.Raw.Offset))
		p.note(path, line)
		if it.IsLast() && e.Kind == unstable.ArrayTable {
			p.elements[path]++
		}
		if count := p.elements[path]; count > 0 {
			path = element(path, count-1)
			p.note(path, line)
		}
	}
	return path
}

func (p *places) keyValue(path string, e *unstable.Node) {
	line := 0
	for it := e.Key(); it.Next(); {
		n := it.Node()
		path = key(path, string(n.Data))
		line = p.lines.line(int(n.Raw.Offset))
		p.note(path, line)
	}
	p.inside(path, line, e.Value())
}

// inside notes what an inline table or an array has.
func (p *places) inside(path string, line int, v *unstable.Node) {
	switch v.Kind {
	case unstable.InlineTable:
		for it := v.Children(); it.Next(); {
			p.keyValue(path, it.Node())
		}
	case unstable.Array:
		i := 0
		for it := v.Children(); it.Next(); i++ {
			n := it.Node()
			if n.Raw.Length > 0 {
				line = p.lines.line(int(n.Raw.Offset))
			}
			p.note(element(path, i), line)
			p.inside(element(path, i), line, n)
		}
	}
}

// value turns what the decoder has made into ours. Keys are in the order of their lines.
func (p *places) value(path string, line int, decoded any) *value {
	if at := p.at[path]; at > 0 {
		line = at
	}
	v := &value{line: line}
	switch t := decoded.(type) {
	case map[string]any:
		v.kind = object
		for _, name := range slices.Sorted(maps.Keys(t)) {
			at := key(path, name)
			v.members = append(v.members, member{name: name, line: max(p.at[at], 1), value: p.value(at, line, t[name])})
		}
		slices.SortStableFunc(v.members, func(a, b member) int { return a.line - b.line })
	case []any:
		v.kind = array
		for i, e := range t {
			v.elements = append(v.elements, p.value(element(path, i), line, e))
		}
	case string:
		v.kind, v.text = text, t
	case bool:
		v.kind, v.text = boolean, strconv.FormatBool(t)
	case int64:
		v.kind, v.text, v.number = number, strconv.FormatInt(t, 10), float64(t)
	case float64:
		v.kind, v.text, v.number = number, strconv.FormatFloat(t, 'g', -1, 64), t
	default:
		v.kind = date
	}
	return v
}
