package main

import "strings"

// A markdown table aligns figures to the right, words to the left.
type markdown struct {
	left bool
	head []string
	rows [][]string
}

func (t *markdown) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *markdown) String() string {
	var b strings.Builder
	line := func(cells []string) {
		b.WriteByte('|')
		for i := range t.head {
			text := ""
			if i < len(cells) {
				text = strings.NewReplacer("|", `\|`, "\n", " ").Replace(cells[i])
			}
			b.WriteString(" " + text + " |")
		}
		b.WriteByte('\n')
	}
	line(t.head)
	rule := "|--:"
	if t.left {
		rule = "|---"
	}
	b.WriteString("|---" + strings.Repeat(rule, len(t.head)-1) + "|\n")
	for _, r := range t.rows {
		line(r)
	}
	return b.String()
}
