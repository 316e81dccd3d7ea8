package inproq

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Limits bound what is accepted. A zero field means the default, NoLimit no
// limit. The defaults are those of Cloudflare Queues, from
// https://developers.cloudflare.com/queues/platform/limits/; a kilobyte has 1000
// bytes.
type Limits struct {
	MaxMessageBytes   int           // encoded body of a message; 128,000
	MaxHeaderBytes    int           // keys and values of a message's headers; 8,000
	MaxBatchMessages  int           // messages of one SendBatch; 100
	MaxBatchBytes     int           // bodies of one SendBatch; 256,000
	MaxDelay          time.Duration // of a send or a retry; 12 hours
	MinRetention      time.Duration // 60 seconds
	MaxRetention      time.Duration // 14 days
	MaxConsumerBatch  int           // messages of one delivered batch; 100
	MaxBatchTimeout   time.Duration // 60 seconds
	MaxRetries        int           // 100
	MaxConcurrency    int           // handlers of one queue in one process; 250
	MaxPullBatch      int           // messages of one pull; 100
	MaxVisibility     time.Duration // of a pull; 12 hours
	MaxBacklogBytes   int64         // bodies in one queue; 25,000,000,000
	MessagesPerSecond int           // sent to one queue; none
}

// DefaultLimits are the documented limits of Cloudflare Queues, except that
// sends are not limited in their rate.
func DefaultLimits() Limits {
	return Limits{
		MaxMessageBytes:   128_000,
		MaxHeaderBytes:    8_000,
		MaxBatchMessages:  100,
		MaxBatchBytes:     256_000,
		MaxDelay:          12 * time.Hour,
		MinRetention:      time.Minute,
		MaxRetention:      14 * 24 * time.Hour,
		MaxConsumerBatch:  100,
		MaxBatchTimeout:   time.Minute,
		MaxRetries:        100,
		MaxConcurrency:    250,
		MaxPullBatch:      100,
		MaxVisibility:     12 * time.Hour,
		MaxBacklogBytes:   25_000_000_000,
		MessagesPerSecond: NoLimit,
	}
}

// CloudflareLimits are DefaultLimits with the rate of 5,000 messages a second
// for each queue.
func CloudflareLimits() Limits {
	l := DefaultLimits()
	l.MessagesPerSecond = 5_000
	return l
}

// Limits returns what this broker accepts: Config.Limits with every default filled in.
// What has no limit is the largest number that the broker can handle, except for
// MessagesPerSecond, where it is zero.
func (b *Broker) Limits() Limits { return b.limits }

// normalize replaces zero by the default and NoLimit by the largest number,
// except for MessagesPerSecond, where none is zero.
func (l Limits) normalize(v *violations) Limits {
	d := DefaultLimits()
	limit(v, "MaxMessageBytes", &l.MaxMessageBytes, d.MaxMessageBytes, math.MaxInt32)
	limit(v, "MaxHeaderBytes", &l.MaxHeaderBytes, d.MaxHeaderBytes, math.MaxInt32)
	limit(v, "MaxBatchMessages", &l.MaxBatchMessages, d.MaxBatchMessages, math.MaxInt)
	limit(v, "MaxBatchBytes", &l.MaxBatchBytes, d.MaxBatchBytes, math.MaxInt)
	limit(v, "MaxDelay", &l.MaxDelay, d.MaxDelay, math.MaxInt64)
	limit(v, "MinRetention", &l.MinRetention, d.MinRetention, 1)
	limit(v, "MaxRetention", &l.MaxRetention, d.MaxRetention, math.MaxInt64)
	limit(v, "MaxConsumerBatch", &l.MaxConsumerBatch, d.MaxConsumerBatch, math.MaxInt32)
	limit(v, "MaxBatchTimeout", &l.MaxBatchTimeout, d.MaxBatchTimeout, math.MaxInt64)
	limit(v, "MaxRetries", &l.MaxRetries, d.MaxRetries, math.MaxInt32)
	limit(v, "MaxConcurrency", &l.MaxConcurrency, d.MaxConcurrency, math.MaxInt32)
	limit(v, "MaxPullBatch", &l.MaxPullBatch, d.MaxPullBatch, math.MaxInt32)
	limit(v, "MaxVisibility", &l.MaxVisibility, d.MaxVisibility, math.MaxInt64)
	limit(v, "MaxBacklogBytes", &l.MaxBacklogBytes, d.MaxBacklogBytes, math.MaxInt64)
	limit(v, "MessagesPerSecond", &l.MessagesPerSecond, d.MessagesPerSecond, 0)
	if l.MinRetention > l.MaxRetention {
		v.add("Limits.MinRetention", l.MinRetention, fmt.Sprintf("at most MaxRetention, %v", l.MaxRetention))
	}
	return l
}

// limit resolves one field.
func limit[T int | int64 | time.Duration](v *violations, name string, field *T, def, none T) {
	if *field == 0 {
		*field = def
	}
	if *field == NoLimit {
		*field = none
	} else if *field < 0 {
		v.add("Limits."+name, *field, "positive, or NoLimit")
	}
}

// violations gathers everything that is wrong with a configuration.
type violations []string

func (v *violations) add(field string, value, allowed any) {
	*v = append(*v, fmt.Sprintf("%s is %v, allowed: %v", field, value, allowed))
}

// within checks lo ≤ value ≤ hi.
func within[T int | time.Duration](v *violations, field string, value, lo, hi T) {
	if value < lo || value > hi {
		v.add(field, value, fmt.Sprintf("%v to %v", lo, hi))
	}
}

// err wraps all violations in the given error; nil if there are none.
func (v violations) err(as error) error {
	if len(v) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", as, strings.Join(v, "; "))
}
