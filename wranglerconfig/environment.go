package wranglerconfig

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/inproq/inproq"
)

// Config is what one environment of a file says about queues, checked.
type Config struct {
	// Script is the name of the Worker, and so that of the handler: see [inproq.Handle].
	Script string
	// Producers are the bindings, in the order of the file.
	Producers []Producer
	// Consumers are the queues that the script consumes, in the order of the file.
	Consumers []Consumer
	// Warnings tell what the file says in vain.
	Warnings []Problem
}

// A Producer is a binding: the name that code has for a queue it sends to.
type Producer struct {
	Binding string
	Queue   string
}

// A Consumer is a queue that the script consumes. Settings are complete: what the file
// leaves open has its default.
type Consumer struct {
	Queue    string
	Settings inproq.ConsumerSettings
}

// Queue returns the queue that a binding is for; false if there is no such binding.
//
//	name, ok := cfg.Queue("ORDERS")
//	orders, err := inproq.Bind[Order](ctx, broker, name)
func (c Config) Queue(binding string) (string, bool) {
	for _, p := range c.Producers {
		if p.Binding == binding {
			return p.Queue, true
		}
	}
	return "", false
}

// Environments returns the names of the environments, in the order of the file.
func (f *File) Environments() []string {
	var names []string
	if env := f.root.get("env"); env != nil {
		for _, m := range env.members {
			names = append(names, m.name)
		}
	}
	return names
}

// Environment returns what the file says about an environment, "" for the top level. As
// with wrangler, the queues of the top level are not those of an environment, and an
// environment's script is its own name, or that of the top level with "-" and the
// environment's after it.
//
// Errors: an [*Error] with all that is wrong.
func (f *File) Environment(name string) (Config, error) {
	r := reader{file: f, limits: resolve(f.Limits)}
	env, at := f.root, ""
	if name != "" {
		env, at = r.environment(name), "env."+bare(name)+"."
	}
	var cfg Config
	if env != nil {
		cfg.Script = r.script(env, name, at)
		r.queues(env, at, &cfg)
	}
	if len(r.problems) > 0 {
		sortByLine(r.problems)
		return Config{}, &Error{Problems: r.problems}
	}
	sortByLine(r.warnings)
	cfg.Warnings = r.warnings
	return cfg, nil
}

func sortByLine(p []Problem) {
	slices.SortStableFunc(p, func(a, b Problem) int { return a.Line - b.Line })
}

// reader gathers what is wrong.
type reader struct {
	file     *File
	limits   inproq.Limits
	problems []Problem
	warnings []Problem
}

func (r *reader) problem(line int, key, format string, args ...any) {
	r.problems = append(r.problems, Problem{File: r.file.Path, Line: line, Key: key, Text: fmt.Sprintf(format, args...)})
}

func (r *reader) warning(line int, key, format string, args ...any) {
	r.warnings = append(r.warnings, Problem{File: r.file.Path, Line: line, Key: key, Text: fmt.Sprintf(format, args...)})
}

// unknown reports the keys of an object that are none of those known.
func (r *reader) unknown(in *value, at string, known ...string) {
	report := r.problem
	if r.file.Lenient {
		report = r.warning
	}
	for _, m := range in.members {
		if !slices.Contains(known, m.name) {
			report(m.line, at+bare(m.name), "is not a key here; there are %s", strings.Join(known, ", "))
		}
	}
}

// is checks that a value is of a kind. A value that is absent is of none.
func (r *reader) is(v *value, k kind, at string) bool {
	if v == nil {
		return false
	}
	if v.kind != k {
		r.problem(v.line, at, "is %s, allowed: %s", v.quoted(), k)
		return false
	}
	return true
}

// environment finds the one of a name; nil, with a problem, if it is not there.
func (r *reader) environment(name string) *value {
	all := r.file.root.get("env")
	if all != nil && !r.is(all, object, "env") {
		return nil
	}
	if all != nil {
		if env := all.get(name); env != nil {
			if !r.is(env, object, "env."+bare(name)) {
				return nil
			}
			return env
		}
	}
	there := "none"
	if names := r.file.Environments(); len(names) > 0 {
		there = strings.Join(names, ", ")
	}
	r.problem(0, "env."+bare(name), "is missing; the file's environments: %s", there)
	return nil
}

// scriptName is wrangler's rule for the name of a Worker.
var scriptName = regexp.MustCompile(`^[a-z0-9_][a-z0-9_-]*$`)

// script returns the name of an environment's Worker, "" if there is none.
func (r *reader) script(env *value, name, at string) string {
	read := func(in *value, at string) string {
		v := in.get("name")
		if !r.is(v, text, at+"name") || v.text == "" {
			return ""
		}
		if !scriptName.MatchString(v.text) {
			r.problem(v.line, at+"name", "is %s, allowed: small letters, digits, underscores and, but for the first, dashes", v.quoted())
			return ""
		}
		return v.text
	}
	own := read(env, at)
	if name == "" || own != "" {
		return own
	}
	if top := read(r.file.root, ""); top != "" {
		return top + "-" + name
	}
	return ""
}
