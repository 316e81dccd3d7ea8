package inproq_test

import (
	"context"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

// Lag is of the oldest message in the latest batch, wherever in the batch it is.
func TestLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := consumeRun(t, inproq.ConsumerConfig{MaxBatchSize: 2}, nil)
		assert.Zero(t, r.stats().Lag)
		r.send("a")
		consumePass(time.Minute)
		assert.Equal(t, 5*time.Second, r.stats().Lag, "it waited for more")
		r.send("b", "c")
		synctest.Wait()
		assert.Zero(t, r.stats().Lag)

		_, err := r.queue.Send(t.Context(), "old", inproq.Delay(time.Hour))
		require.NoError(t, err)
		consumePass(time.Hour - time.Second)
		r.send("young")
		consumePass(time.Second)
		assert.Equal(t, []consumeBatch{{time.Minute + time.Hour, "young old"}}, r.groups()[2:])
		assert.Equal(t, time.Hour, r.stats().Lag)
	})
}

// A dead letter is as old as the message.
func TestLagOfADeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newConsumeRig(t, inproq.ConsumerConfig{MaxRetries: inproq.NoRetries, DeadLetterQueue: redriveDead}, consumeFail)
		r.attach(redriveDead, inproq.QueueConfig{}, inproq.ConsumerConfig{}, nil)
		r.send("x")
		queuetest.Start(t, r.broker)
		consumePass(time.Minute)
		assert.Equal(t, 5*time.Second, r.stats().Lag)
		assert.Equal(t, 10*time.Second, r.broker.Stats(redriveDead).Lag)
	})
}

func TestLagOfPulls(t *testing.T) {
	for name, pull := range opsPulls {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newOpsRig(t)
				p, err := r.queue.PullConsumer(inproq.PullConfig{})
				require.NoError(t, err)
				_, err = r.queue.Send(t.Context(), []byte("old"), inproq.Delay(time.Minute))
				require.NoError(t, err)
				time.Sleep(time.Minute - time.Second)
				_, err = r.queue.Send(t.Context(), []byte("young"))
				require.NoError(t, err)
				time.Sleep(2 * time.Second)
				require.Equal(t, 2, pull(t, r, p, false))
				assert.Equal(t, time.Minute+time.Second, r.broker.Stats("jobs").Lag)
				time.Sleep(time.Hour)
				require.Zero(t, pull(t, r, p, false))
				assert.Equal(t, time.Minute+time.Second, r.broker.Stats("jobs").Lag, "that of the latest batch")
			})
		})
	}
}

// opsFill sets all numbers of a struct, each to another value.
func opsFill(v reflect.Value, next *int64) {
	for _, f := range v.Fields() {
		switch f.Kind() {
		case reflect.Uint64:
			*next *= 2
			f.SetUint(uint64(*next))
		case reflect.Int, reflect.Int64:
			*next *= 2
			f.SetInt(*next)
		case reflect.Struct:
			if f.Type() != reflect.TypeFor[time.Time]() {
				opsFill(f, next)
			}
		}
	}
}

// All counts are added, also those that were added to Stats since this was written.
func TestStatsAdd(t *testing.T) {
	var a, b inproq.Stats
	one, other := int64(1), int64(3)
	opsFill(reflect.ValueOf(&a).Elem(), &one)
	opsFill(reflect.ValueOf(&b).Elem(), &other)
	b.LastScale = inproq.ScaleDecision{}
	sum := a.Add(b)
	assert.Equal(t, a.LastScale, sum.LastScale)
	assert.Equal(t, b.Lag, sum.Lag, "the longer")
	assert.Equal(t, b.Over, sum.Over, "one broker counts them in the same time")
	assert.Equal(t, sum.Lag, b.Add(a).Lag)
	assert.Equal(t, sum.Over, b.Add(a).Over)
	sum.LastScale, a.LastScale = inproq.ScaleDecision{}, inproq.ScaleDecision{}
	sum.Lag, a.Lag, b.Lag = 0, 0, 0
	sum.Over, a.Over, b.Over = 0, 0, 0
	opsCheckSum(t, "Stats", reflect.ValueOf(a), reflect.ValueOf(b), reflect.ValueOf(sum))
}

func opsCheckSum(t *testing.T, name string, a, b, sum reflect.Value) {
	t.Helper()
	for i := range a.NumField() {
		field := name + "." + a.Type().Field(i).Name
		switch f := a.Field(i); f.Kind() {
		case reflect.Uint64:
			assert.Equal(t, f.Uint()+b.Field(i).Uint(), sum.Field(i).Uint(), field)
		case reflect.Int, reflect.Int64:
			assert.Equal(t, f.Int()+b.Field(i).Int(), sum.Field(i).Int(), field)
		case reflect.Struct:
			if f.Type() != reflect.TypeFor[time.Time]() {
				opsCheckSum(t, field, f, b.Field(i), sum.Field(i))
			}
		}
	}
}

// Over is the time since the broker was made, the same for all of its queues.
func TestStatsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		time.Sleep(time.Hour)
		accountDeclare(t, b, "q", inproq.QueueConfig{})
		time.Sleep(time.Minute)
		assert.Equal(t, time.Hour+time.Minute, b.Stats("q").Over)
		assert.Zero(t, b.Stats("unknown"))
		assert.NoError(t, b.Shutdown(context.Background()))
	})
}
