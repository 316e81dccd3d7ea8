package main

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCPULine(t *testing.T) {
	const text = "processor\t: 0\nmodel name\t: AMD EPYC: 2\nflags\t\t: fpu hypervisor sse\n\nmodel name\t: other\n"
	assert.Equal(t, "AMD EPYC: 2", cpuLine(text, "model name"))
	assert.Equal(t, "fpu hypervisor sse", cpuLine(text, "flags"))
	assert.Empty(t, cpuLine(text, "model"))
	assert.Equal(t, runtime.GOMAXPROCS(0), thisMachine().Procs)
}

func TestFileSystem(t *testing.T) {
	const mounts = "/dev/vda / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/vdb /tmp/disk xfs rw 0 0\n/dev/vdc /tmp/disk btrfs rw 0 0\nproc /proc\n"
	for dir, want := range map[string]string{
		"/": "ext4", "/home/x": "ext4", "/tmpfiles": "ext4", "/tmp": "tmpfs", "/tmp/x": "tmpfs", "/tmp/disk/x": "btrfs", "/proc/1": "ext4",
	} {
		assert.Equal(t, want, fileSystem(mounts, dir), dir)
	}
	assert.Empty(t, fileSystem("", "/tmp"))
	assert.True(t, inMemory("tmpfs"))
	assert.False(t, inMemory("ext4"))
}

// This module is what is in the tree, in a workspace and without one.
func TestVersions(t *testing.T) {
	got := versionsOf([]*debug.Module{
		{Path: "workspace", Version: "(devel)"},
		{Path: "replaced", Version: "v0.0.0", Replace: &debug.Module{Path: "..", Version: "(devel)"}},
		{Path: "old", Version: "v0.0.0", Replace: &debug.Module{Path: ".."}},
		{Path: "fork", Version: "v1.0.0", Replace: &debug.Module{Path: "other", Version: "v1.0.1"}},
		{Path: "plain", Version: "v1.2.3"},
	})
	assert.Equal(t, map[string]string{"workspace": "this tree", "replaced": "this tree", "old": "this tree", "fork": "v1.0.0", "plain": "v1.2.3"}, got)
}

// Goroutines that begin late end with the others: more of them than processors do not do
// more.
func TestSpinEndsForAll(t *testing.T) {
	procs := runtime.GOMAXPROCS(0)
	alone := max(spin(1), spin(1), spin(1))
	assert.Less(t, spin(32*procs), 3*procs*alone)
}
