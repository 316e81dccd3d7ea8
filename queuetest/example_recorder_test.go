package queuetest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

// Code that only sends asks for a Producer; in its test that is a Recorder.
func ExampleRecorder() {
	signUp := func(ctx context.Context, mails inproq.Producer[string], address string) error {
		_, err := mails.Send(ctx, address, inproq.Delay(time.Hour))
		return err
	}
	mails := queuetest.NewRecorder[string](t)
	if err := signUp(t.Context(), mails, "ada@example.org"); err != nil {
		t.Error(err)
	}
	if sent := mails.Sent(); len(sent) != 1 || sent[0].Body != "ada@example.org" || sent[0].Delay != time.Hour {
		t.Errorf("sent %+v", sent)
	}
	outage := errors.New("outage")
	mails.Fail(outage)
	if err := signUp(t.Context(), mails, "alan@example.org"); !errors.Is(err, outage) {
		t.Errorf("the outage went unnoticed: %v", err)
	}
}

func TestExampleRecorder(test *testing.T) {
	t = test
	ExampleRecorder()
}
