package wranglerconfig

import (
	"fmt"
	"regexp"
	"strconv"

	"github.com/tailscale/hujson"
)

// parseJSONC reads JSON with comments and trailing commas. Unlike wrangler, where the
// last one wins, it refuses a key that an object has twice: one of the two was meant in
// vain, and TOML refuses it too.
func parseJSONC(data []byte) (*value, *Problem) {
	root, err := hujson.Parse(data)
	if err != nil {
		return nil, syntaxProblem(err)
	}
	j := jsonc{lines: newlinesOf(data)}
	v := j.value(&root)
	return v, j.problem
}

var hujsonPlace = regexp.MustCompile(`^hujson: line (\d+), column (\d+): (.*)`)

// syntaxProblem takes the place from the text of the parser's error, which has it
// nowhere else.
func syntaxProblem(err error) *Problem {
	if m := hujsonPlace.FindStringSubmatch(err.Error()); m != nil {
		if line, err := strconv.Atoi(m[1]); err == nil {
			return &Problem{Line: line, Text: "column " + m[2] + ": " + m[3]}
		}
	}
	return &Problem{Text: err.Error()}
}

// jsonc turns the parser's tree into ours.
type jsonc struct {
	lines   newlines
	problem *Problem // the first
}

func (j *jsonc) value(h *hujson.Value) *value {
	v := &value{line: j.lines.line(h.StartOffset)}
	switch t := h.Value.(type) {
	case *hujson.Object:
		v.kind = object
		seen := make(map[string]int, len(t.Members))
		for i := range t.Members {
			m := j.member(&t.Members[i])
			if first, twice := seen[m.name]; twice {
				j.report(m.line, fmt.Sprintf("key %s appears twice, first in line %d", quote(m.name), first))
			}
			seen[m.name] = m.line
			v.members = append(v.members, m)
		}
	case *hujson.Array:
		v.kind = array
		for i := range t.Elements {
			v.elements = append(v.elements, j.value(&t.Elements[i]))
		}
	case hujson.Literal:
		j.literal(v, t)
	}
	return v
}

func (j *jsonc) member(m *hujson.ObjectMember) member {
	name, _ := m.Name.Value.(hujson.Literal) // the parser has made sure
	return member{name: name.String(), line: j.lines.line(m.Name.StartOffset), value: j.value(&m.Value)}
}

func (j *jsonc) literal(v *value, l hujson.Literal) {
	v.text = string(l)
	switch l.Kind() {
	case '"':
		v.kind, v.text = text, l.String()
	case 't', 'f':
		v.kind = boolean
	case 'n':
		v.kind = null
	default:
		v.kind = number
		v.number, _ = strconv.ParseFloat(v.text, 64) // ±Inf when out of range, and then out of every bound
	}
}

func (j *jsonc) report(line int, what string) {
	if j.problem == nil {
		j.problem = &Problem{Line: line, Text: what}
	}
}
