// Package autoscale decides how many handlers of one queue may run at once.
//
// # The idea
//
// Little's law: in a steady state, as many batches are being handled as arrive per second times the seconds that each
// one takes. 100 messages a second in batches of 100 that take 5 s each keep 5 handlers busy, no more and no fewer. So
// the controller does not search for the right number, by trying one more until something breaks; it measures the
// arrivals and the service time and computes it. What it cannot compute, it bounds: failures halve the number, and each
// step up or down is limited, because the measurements are noisy.
//
// # The law
//
// Asked once per finished batch, with B the largest batch size, τ = 10 s and h = 30 s:
//
//	λ     = arrivals per second, averaged with time constant τ; messages that come back count again,
//	        and quiet time teaches nothing
//	S     ← S + 0.2·(service time − S)
//	F     ← F + 0.1·(failed − F)
//	need  = (λ + ready/h)·S/B                     the arrivals, and the backlog drained over h
//	want  = ⌈need − 0.15⌉, at least 1
//	up    : min(want, max(2·limit, limit + 4))    at once, but not for a failed batch
//	down  : max(want, ¾·limit)                    at most every 10 s, at least by one
//	cap   : ⌈limit/2⌉ for a failed batch          if F > 0.15, and S has passed since the last cut
//	        min(Max, cap + 1) for a good one
//	limit = min(that, cap, Max)
//
// The constants in controller.go say what each of these numbers is for, and what goes wrong when it is too small or too
// large. An explicit retry is not a failure: its messages raise λ, and so can only raise the limit.
//
// The limit bounds, it does not start anything. Handlers run only while there are batches for them, so a limit that is
// too high for an idle queue costs nothing, and no timer is needed to come down from it.
//
// # Lifecycle and costs
//
// A [Controller] is a plain value in memory: no clock, no goroutine, no lock. Its owner serialises the calls and passes
// the time in with each [Sample]. Observe takes about 100 ns per batch and allocates nothing.
package autoscale
