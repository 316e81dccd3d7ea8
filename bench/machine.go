package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
)

// A Machine is where figures come from.
type Machine struct {
	CPU, Kernel, Go, OS string
	Cores, Procs        int  // processors, and how many of them Go uses at once
	Virtual             bool // a hypervisor has other guests, perhaps
	MemoryGiB           float64
	Files               string // the file system of temporary files; "": unknown
}

// thisMachine says what it can find out; outside Linux that is less.
func thisMachine() Machine {
	m := Machine{CPU: "unknown", Go: runtime.Version(), OS: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.NumCPU(), Procs: runtime.GOMAXPROCS(0)}
	if kib, ok := procNumber("/proc/meminfo", "MemTotal:"); ok {
		m.MemoryGiB = float64(kib) / (1 << 20)
	}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if name := cpuLine(string(text), "model name"); name != "" {
			m.CPU = name
		}
		m.Virtual = slices.Contains(strings.Fields(cpuLine(string(text), "flags")), "hypervisor")
	}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(release))
	}
	if text, err := os.ReadFile("/proc/self/mounts"); err == nil {
		if dir, err := filepath.EvalSymlinks(os.TempDir()); err == nil {
			m.Files = fileSystem(string(text), dir)
		}
	}
	return m
}

// fileSystem is the type of the one that a directory is on, by the lines of
// /proc/self/mounts: device, mount point, type. The longest mount point above it is its
// own, and of several the last, which hides the others.
func fileSystem(mounts, dir string) (kind string) {
	longest := 0
	for line := range strings.Lines(mounts) {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			continue
		}
		point := fields[1]
		above := point == "/" || dir == point || strings.HasPrefix(dir, point+"/")
		if above && len(point) >= longest {
			kind, longest = fields[2], len(point)
		}
	}
	return kind
}

// inMemory tells whether nothing that is flushed to a file system gets to a disk.
func inMemory(fileSystem string) bool { return fileSystem == "tmpfs" || fileSystem == "ramfs" }

// cpuLine is what the first line with a key in /proc/cpuinfo says; "" if there is none.
func cpuLine(text, key string) string {
	for line := range strings.Lines(text) {
		if k, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(value)
		}
	}
	return ""
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
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return map[string]string{}
	}
	return versionsOf(info.Deps)
}

// versionsOf knows a module in a directory by its version or by what replaces it: with
// a workspace it has the first, without one the second.
func versionsOf(modules []*debug.Module) map[string]string {
	all := map[string]string{}
	local := func(version string) bool { return version == "" || version == "(devel)" }
	for _, m := range modules {
		all[m.Path] = m.Version
		if local(m.Version) || m.Replace != nil && local(m.Replace.Version) {
			all[m.Path] = "this tree"
		}
	}
	return all
}
