package faulttest

import "maps"

// directory says which names there are.
type directory struct {
	live    map[string]*inode // as the process sees it
	durable map[string]*inode
	pending []naming // in order
}

// naming gives a name to a file, or with nil takes it away.
type naming struct {
	name string
	node *inode
}

func newDirectory() directory {
	return directory{live: map[string]*inode{}, durable: map[string]*inode{}}
}

// create names a new file.
func (d *directory) create(name string) *inode {
	node := &inode{}
	d.live[name] = node
	d.pending = append(d.pending, naming{name, node})
	return node
}

// adopt names a file that was there before the disk.
func (d *directory) adopt(name string, content []byte) *inode {
	node := &inode{durable: content}
	d.live[name], d.durable[name] = node, node
	return node
}

// remove takes a name away. The file stays for those who have it open.
func (d *directory) remove(name string) {
	if d.live[name] == nil {
		return
	}
	delete(d.live, name)
	d.pending = append(d.pending, naming{name, nil})
}

// settle makes all names durable.
func (d *directory) settle() {
	apply(d.durable, d.pending)
	d.pending = nil
}

// after returns the names that there are when count of the pending changes have
// reached the disk.
func (d *directory) after(count int) map[string]*inode {
	names := maps.Clone(d.durable)
	apply(names, d.pending[:count])
	return names
}

func apply(names map[string]*inode, changes []naming) {
	for _, c := range changes {
		if c.node == nil {
			delete(names, c.name)
		} else {
			names[c.name] = c.node
		}
	}
}
