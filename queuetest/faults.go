package queuetest

import (
	"fmt"
	"strings"
)

// Faults are probabilities, from 0 (never) to 1 (always). The zero value injects
// nothing; [DefaultFaults] is a mix of all that concerns handlers.
//
// All of it happens in production too, only rarely: delivery is at least once, the
// order best effort. Duplicate, Expire, Crash and Unavailable are drawn for each
// delivery of each message; when several hit the same one, it gets one of them.
type Faults struct {
	// Duplicate: an acknowledged message is delivered again at once, and so is one
	// that is deleted because it has no attempts left.
	Duplicate float64
	// Reorder, drawn once for each message: it changes its place within its batch, or
	// is left for a later batch while others overtake it.
	Reorder float64
	// Expire: the lease ends after 1 ms to 1 s, and the message is delivered again.
	// If its first handler still runs then, and there is a second, both have it at the
	// same time. What the first decides is lost.
	Expire float64
	// Crash: the message is handled, but what the handler decided never arrives, as
	// when its process dies. It is delivered again within about a second.
	Crash float64
	// Unavailable: the store fails with [store.ErrUnavailable], in Lease or in
	// Settle, before or after it has done its work. The broker tries again; a message
	// whose lease was granted and not answered comes again as its next attempt.
	Unavailable float64
	// SendError, drawn for each Send and SendBatch: it fails with
	// [store.ErrUnavailable]; half of those that fail were accepted all the same.
	// The error reaches the sender, handlers that send included, unless the store's
	// Guarantee says Idempotent: then the broker repeats the send.
	SendError float64
}

// DefaultFaults returns a mix that finds most handlers that are not idempotent
// within a few seeds: Reorder 0.2, SendError 0, all others 0.1.
func DefaultFaults() Faults {
	return Faults{Duplicate: 0.1, Reorder: 0.2, Expire: 0.1, Crash: 0.1, Unavailable: 0.1}
}

// validate lists every field that is no probability; it returns "" if all are.
func (f *Faults) validate() string {
	var bad []string
	for _, field := range []struct {
		name string
		p    float64
	}{
		{"Duplicate", f.Duplicate},
		{"Reorder", f.Reorder},
		{"Expire", f.Expire},
		{"Crash", f.Crash},
		{"Unavailable", f.Unavailable},
		{"SendError", f.SendError},
	} {
		if !(field.p >= 0 && field.p <= 1) { // NaN is neither
			bad = append(bad, fmt.Sprintf("Faults.%s is %v, allowed: 0 to 1", field.name, field.p))
		}
	}
	return strings.Join(bad, "; ")
}
