package wranglerconfig

import (
	"math"
	"strconv"
	"time"

	"github.com/inproq/inproq"
)

// The defaults of a consumer, from
// https://developers.cloudflare.com/queues/configuration/configure-queues/.
const (
	defaultBatchSize    = 10
	defaultBatchTimeout = 5 * time.Second
	defaultRetries      = 3
)

// resolve replaces, in the fields that this package checks, zero by the default and
// NoLimit by the largest number.
func resolve(l inproq.Limits) inproq.Limits {
	d := inproq.DefaultLimits()
	return inproq.Limits{
		MaxConsumerBatch: limit(l.MaxConsumerBatch, d.MaxConsumerBatch, math.MaxInt32),
		MaxBatchTimeout:  limit(l.MaxBatchTimeout, d.MaxBatchTimeout, math.MaxInt64),
		MaxRetries:       limit(l.MaxRetries, d.MaxRetries, math.MaxInt32),
		MaxConcurrency:   limit(l.MaxConcurrency, d.MaxConcurrency, math.MaxInt32),
		MaxDelay:         limit(l.MaxDelay, d.MaxDelay, math.MaxInt64),
	}
}

func limit[T int | time.Duration](v, def, none T) T {
	switch v {
	case 0:
		return def
	case inproq.NoLimit:
		return none
	}
	return v
}

// withDefaults completes settings, as the broker does it: a default is no more than its
// limit, and none is written as NoWait, NoRetries and NoDelay.
func withDefaults(s inproq.ConsumerSettings, l *inproq.Limits) inproq.ConsumerSettings {
	s.MaxBatchSize = or(s.MaxBatchSize, min(defaultBatchSize, l.MaxConsumerBatch))
	s.MaxBatchTimeout = or(s.MaxBatchTimeout, min(defaultBatchTimeout, l.MaxBatchTimeout))
	s.MaxRetries = or(s.MaxRetries, min(defaultRetries, l.MaxRetries))
	s.RetryDelay = or(s.RetryDelay, inproq.NoDelay)
	return s
}

func or[T int | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

// none is how settings write a zero that is meant: NoWait, NoRetries, NoDelay.
const none = -1

// count reads a whole number from lo to hi. Zero is none, an absent key zero.
func (r *reader) count(in *value, at, name string, lo, hi int) int {
	v := in.get(name)
	if !r.is(v, number, at+name) {
		return 0
	}
	// Before the conversion: what is out of its range has no defined result. Not a
	// number fails this too.
	if !(v.number >= float64(lo) && v.number <= float64(hi)) || v.number != math.Trunc(v.number) {
		r.problem(v.line, at+name, "is %s, allowed: whole numbers from %d to %d", v.quoted(), lo, hi)
		return 0
	}
	return or(int(v.number), none)
}

// seconds reads a number of seconds from 0 to hi, in steps of one unit. Zero is none, an
// absent key zero.
func (r *reader) seconds(in *value, at, name string, hi, unit time.Duration) time.Duration {
	v := in.get(name)
	if !r.is(v, number, at+name) {
		return 0
	}
	steps := v.number * float64(time.Second/unit)
	whole := math.Round(steps)
	if !(v.number >= 0 && v.number <= hi.Seconds()) || math.Abs(steps-whole) > 1e-6 {
		grain := "whole seconds"
		if unit < time.Second {
			grain = "seconds, in steps of " + unit.String() + ","
		}
		r.problem(v.line, at+name, "is %s, allowed: %s from 0 to %s", v.quoted(), grain, strconv.FormatFloat(hi.Seconds(), 'f', -1, 64))
		return 0
	}
	return or(min(time.Duration(whole)*unit, hi), none)
}

func index(at string, i int) string { return at + "[" + strconv.Itoa(i) + "]" }
