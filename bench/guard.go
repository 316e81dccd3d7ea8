package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// mostForeign is the share of the processors' time that others may use, the
// hypervisor's theft included. With more, figures say something about them.
const mostForeign = 0.10

// A guard looks what else the machine does, and refuses to measure beside it.
type guard struct {
	off bool
	// patience is how long it waits for others to finish.
	patience time.Duration
	// look is how long it watches.
	look  time.Duration
	read  func() (cpuTime, error) // readCPU
	scale func() float64          // scaling, on a virtual machine; nil: not looked at
}

// cpuTime is time that all processors together have spent since the machine started.
type cpuTime struct{ busy, total time.Duration }

func (t cpuTime) since(before cpuTime) cpuTime {
	return cpuTime{t.busy - before.busy, t.total - before.total}
}

// foreign is the share of the time that was spent on others, when own was our
// own part.
func (t cpuTime) foreign(own time.Duration) float64 {
	if t.total <= 0 {
		return 0
	}
	return max(float64(t.busy-own)/float64(t.total), 0)
}

var errBusy = errors.New("the machine is busy")

// await returns when the machine has nothing else to do. It must be called while
// we do nothing either.
func (g guard) await() error {
	if g.off {
		return nil
	}
	for deadline := time.Now().Add(g.patience); ; {
		why, err := g.trouble()
		if err != nil || why == "" {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%w: %s, and waiting for %v did not help; -force measures all the same", errBusy, why, g.patience)
		}
	}
}

// trouble says what is wrong with the machine; "" is nothing.
func (g guard) trouble() (string, error) {
	before, err := g.read()
	if err != nil {
		return "", fmt.Errorf("cannot look whether the machine is busy (only Linux tells): %w; -force measures all the same", err)
	}
	time.Sleep(g.look)
	after, err := g.read()
	if err != nil {
		return "", err
	}
	if share := after.since(before).foreign(0); share > mostForeign {
		return fmt.Sprintf("others use %.0f%% of its processors, %.0f%% are allowed", 100*share, 100*mostForeign), nil
	}
	if g.scale != nil {
		if share := g.scale(); share < leastScaling {
			return fmt.Sprintf("its processors together do %.0f%% of their work, which should be %.0f%%: other guests of its host use them, or they are threads of one core", 100*share, 100*leastScaling), nil
		}
	}
	return "", nil
}

// readCPU reads /proc/stat.
func readCPU() (cpuTime, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return cpuTime{}, err
	}
	return parseCPU(string(text))
}

// parseCPU reads the first line of /proc/stat: user, nice, system, idle, iowait,
// irq, softirq, steal, in hundredths of a second, and two more that the first ones
// include. Waiting for a disk is idle.
func parseCPU(text string) (t cpuTime, err error) {
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < 5 || fields[0] != "cpu" {
		return t, fmt.Errorf("/proc/stat begins with %q, not with the sum of all processors", line)
	}
	for i, f := range fields[1:min(len(fields), 9)] {
		n, err := strconv.ParseUint(f, 10, 63)
		if err != nil {
			return t, fmt.Errorf("/proc/stat: %w", err)
		}
		spent := time.Duration(n) * 10 * time.Millisecond
		t.total += spent
		if i != 3 && i != 4 {
			t.busy += spent
		}
	}
	return t, nil
}
