package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// measureCommand is the first argument of a child: a process for one measurement, so that
// none finds the heap, the goroutines or the pools of another.
const measureCommand = "measure"

// A task is what a child is asked to do, on its standard input; it answers with a
// Sample.
type task struct {
	Workload, Contestant string
	Effort               Effort
}

// child does one task.
func child(in io.Reader, out io.Writer) error {
	var t task
	if err := json.NewDecoder(in).Decode(&t); err != nil {
		return err
	}
	workloads := Workloads(t.Effort)
	w := slices.IndexFunc(workloads, func(w Workload) bool { return w.ID() == t.Workload })
	c := slices.IndexFunc(Contestants, func(c Contestant) bool { return c.Name == t.Contestant })
	if w < 0 || c < 0 {
		return fmt.Errorf("there is no workload %q with a contestant %q", t.Workload, t.Contestant)
	}
	s, err := workloads[w].Measure(Contestants[c], t.Effort)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(s)
}

// A measurement is a sample, and the share of the processors that others used
// meanwhile; -1 if that is unknown.
type measurement struct {
	sample  Sample
	foreign float64
}

// measureInChild runs this program again for one task.
func measureInChild(t task) (m measurement, err error) {
	program, err := os.Executable()
	if err != nil {
		return m, err
	}
	in, err := json.Marshal(t)
	if err != nil {
		return m, err
	}
	var out, complaints bytes.Buffer
	// A measurement loses patience by itself; this is for one that hangs where it cannot.
	limit := 2 * t.Effort.Patience
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, measureCommand)
	cmd.WaitDelay = time.Second
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &complaints
	before, lookErr := readCPU()
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return m, fmt.Errorf("it hangs: killed after %v", limit)
		}
		return m, fmt.Errorf("%w: %s", err, cause(complaints.String()))
	}
	m.foreign = -1
	if after, err := readCPU(); err == nil && lookErr == nil {
		own := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		m.foreign = after.since(before).foreign(own)
	}
	return m, json.Unmarshal(out.Bytes(), &m.sample)
}

// cause is the line of what a process has said that tells why it died: of a panic that is
// the first line, not its last frame.
func cause(text string) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") {
			return strings.TrimSpace(line)
		}
	}
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}
