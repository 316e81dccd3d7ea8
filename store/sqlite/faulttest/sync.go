package faulttest

import "time"

// sync makes durable what was written to a file before it began. The power may go off
// while it waits for the disk. As on Linux, each handle of the file reports once what
// has failed, also if it was another that has noticed; told is how many failures it
// knows of.
func (d *Disk) sync(node *inode, kind Kind, told *int) (err Error, ok bool) {
	d.mu.Lock()
	rule, last := d.call(kind, Sync, false), node.last()
	d.mu.Unlock()
	if d.latency > 0 {
		time.Sleep(d.latency)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if rule != nil {
		node.forget(last, d.chance)
		node.failures++
		*told = node.failures
		return rule.Error, false
	}
	node.settle(last)
	if *told < node.failures {
		*told = node.failures
		return IOError, false
	}
	return 0, true
}
