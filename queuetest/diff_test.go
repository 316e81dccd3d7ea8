package queuetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store"
)

// What became of a message, in one phrase.
func TestDiffSaysWhatBecameOfAMessage(t *testing.T) {
	sent, delivered := step{kind: inproq.EventSent}, step{kind: inproq.EventDelivered}
	acked := step{kind: inproq.EventAcked}
	retried := step{kind: inproq.EventRetried, delay: time.Second}
	failed := step{kind: inproq.EventRetried, err: errors.New("mailbox\r\nfull")}
	for want, steps := range map[string][]step{
		"sent, not delivered":                            {sent},
		"delivered, not settled":                         {delivered, sent}, // told late
		"acknowledged":                                   {sent, delivered, acked},
		"retried, delayed by 1s":                         {sent, delivered, retried},
		"retried twice, delayed by 1s":                   {delivered, retried, delivered, retried},
		"retried 3 times, delayed by 1s":                 {retried, retried, retried},
		`retried: mailbox\r\nfull`:                       {delivered, failed},
		"retried, then acknowledged":                     {delivered, retried, delivered, acked},
		"retried twice, then acknowledged":               {retried, retried, acked},
		`retried, then dead-lettered to "dead": ` + "no": {retried, {kind: inproq.EventDeadLettered, place: "dead", err: errors.New("no")}},
	} {
		s := story[string]{steps: steps}
		assert.Equal(t, want, s.became())
	}
}

// A body is shown whole up to a bound, and says how long it is beyond; of a text cut in the
// middle of a letter the letter goes.
func TestDiffShowsBodies(t *testing.T) {
	full := strings.Repeat("x", maxText)
	for _, x := range []struct {
		body any
		want string
	}{
		{[]byte(full), fmt.Sprintf("%q", full)},
		{[]byte(full + "x"), fmt.Sprintf("%q… (201 bytes)", full)},
		{json.RawMessage(full), full},
		{json.RawMessage(full + "x"), full + "… (201 bytes)"},
		{json.RawMessage(full[:maxText-1] + "é"), full[:maxText-1] + "… (201 bytes)"},
		{json.RawMessage("{\r\n\"a\": 1}"), `{\r\n"a": 1}`},
		{json.RawMessage("a\xffb"), "a\uFFFDb"},
		{"<&>", `"<&>"`},
		{map[string]int{"a": 1}, `{"a":1}`},
	} {
		assert.Equal(t, x.want, format(x.body))
	}
	for kind, want := range map[inproq.ContentType]string{inproq.JSON: "abc", inproq.Text: `"abc"`, inproq.Bytes: `"abc"`, inproq.Gob: "3 bytes of gob"} {
		assert.Equal(t, want, rawText(&store.Message{Body: []byte("abc"), ContentType: string(kind)}))
	}
}

// No more than twenty lines of a sort are shown; one too many is counted.
func TestDiffShowsTwentyLines(t *testing.T) {
	for n, want := range map[int]string{20: "", 21: "and 1 more", 25: "and 5 more"} {
		text := (&diff{missing: make([]line, n)}).String()
		assert.Equal(t, min(n, 20)+min(n-20, 1), strings.Count(text, "missing:"))
		if want != "" {
			assert.True(t, strings.HasSuffix(text, want), "%q", text)
		}
	}
}

// A message whose body is not known is like none, not like one with a zero body.
func TestDiffOfUnknownBodies(t *testing.T) {
	c := chronicle[int]{happened: []*story[int]{{raw: "7 bytes of gob"}}, unknown: "never seen"}
	d := c.compare([]int{0})
	assert.Equal(t, []line{{"0", "never seen"}}, d.missing)
	assert.Len(t, d.unexpected, 1)
	assert.Equal(t, "7 bytes of gob", d.unexpected[0].body)
}

// Of several messages with the body that is missing, the first that what is asserted did not
// happen to tells its fate, and else the first.
func TestDiffTellsTheFateOfTheMissing(t *testing.T) {
	of := func(kind inproq.EventKind) *story[int] {
		return &story[int]{body: 1, known: true, steps: []step{{kind: kind}}}
	}
	acked, dropped, lost := of(inproq.EventAcked), of(inproq.EventDropped), of(inproq.EventLeaseLost)
	c := chronicle[int]{happened: []*story[int]{acked}, all: []*story[int]{acked, dropped, lost}, unknown: "never seen"}
	d := c.compare([]int{1, 1, 1})
	assert.Equal(t, []line{{"1", dropped.became()}, {"1", lost.became()}}, d.missing)
	assert.Empty(t, d.unexpected)

	other := of(inproq.EventAcked)
	c = chronicle[int]{happened: []*story[int]{acked, other}, all: []*story[int]{acked, other}}
	acked.steps = append(acked.steps, step{kind: inproq.EventLeaseLost})
	told := map[*story[int]]bool{}
	assert.Equal(t, acked.became(), c.elsewhere(1, told))
	assert.Equal(t, other.became(), c.elsewhere(1, told))
}
