package main

import (
	"bufio"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
)

// A Machine is where figures come from.
type Machine struct {
	CPU, Kernel, Go, OS string
	Cores               int
	MemoryGiB           float64
}

// thisMachine says what it can find out; outside Linux that is less.
func thisMachine() Machine {
	m := Machine{CPU: cpuModel(), Go: runtime.Version(), OS: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.NumCPU()}
	if kib, ok := procNumber("/proc/meminfo", "MemTotal:"); ok {
		m.MemoryGiB = float64(kib) / (1 << 20)
	}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(release))
	}
	return m
}

func cpuModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	defer func() { _ = f.Close() }()
	for s := bufio.NewScanner(f); s.Scan(); {
		if key, value, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// A Commit is the state of the source that was measured.
type Commit struct {
	Hash  string
	Dirty bool // there were changes beside it
}

// thisCommit asks git, about all but the results. The zero Commit: there is no
// answer.
func thisCommit() (c Commit) {
	hash, err := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return c
	}
	changes, err := exec.Command("git", "status", "--porcelain", "--", ":/",
		":(top,exclude)bench/"+resultsFile, ":(top,exclude)bench/"+chartFile).Output()
	return Commit{Hash: strings.TrimSpace(string(hash)), Dirty: err != nil || len(changes) > 0}
}

// versions are those of the modules in this binary, by path.
func versions() map[string]string {
	all := map[string]string{}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return all
	}
	for _, m := range info.Deps {
		all[m.Path] = m.Version
		if m.Version == "(devel)" || m.Replace != nil && m.Replace.Version == "" {
			all[m.Path] = "this tree"
		}
	}
	return all
}
