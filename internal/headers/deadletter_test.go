package headers

import (
	"maps"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var died = DeadLetter{
	Queue:    "orders",
	Attempts: 4,
	Reason:   "retries_exhausted",
	Error:    "no connection",
	Time:     time.Date(2026, 8, 22, 13, 14, 15, 123456789, time.UTC),
}

func TestAllDetailsComeBack(t *testing.T) {
	h := died.With(nil)
	require.Len(t, h, 5)
	got, ok := ParseDeadLetter(h)
	require.True(t, ok)
	require.Equal(t, died, got)
}

// The moment survives whatever time zone it was told in, and is shown in UTC.
func TestTimeIsTheSameMoment(t *testing.T) {
	for _, at := range []time.Time{
		died.Time.In(time.FixedZone("east", 5*3600+1800)),
		time.Unix(0, 1),
		time.Date(1999, 12, 31, 23, 59, 59, 0, time.UTC),
		time.Now(),
	} {
		d := died
		d.Time = at
		got, _ := ParseDeadLetter(d.With(nil))
		require.True(t, at.Equal(got.Time), "%v became %v", at, got.Time)
		require.Equal(t, time.UTC, got.Time.Location())
	}
}

func TestHeadersOfTheApplicationAreKept(t *testing.T) {
	h := died.With(map[string]string{"Trace": "abc", "Dead-Letter-Queue": "mine"})
	require.Len(t, h, 7)
	require.Equal(t, "abc", h["Trace"])
	require.Equal(t, "mine", h["Dead-Letter-Queue"])
}

func TestWithDoesNotModifyItsArgument(t *testing.T) {
	for _, given := range []map[string]string{{}, {"Trace": "abc"}, died.With(map[string]string{"Trace": "abc"})} {
		before := maps.Clone(given)
		again := DeadLetter{Queue: "other"}.With(given)
		require.Equal(t, before, given)
		again["Trace"] = "changed"
		require.Equal(t, before, given, "the result shares nothing with it")
	}
}

// A message that dies again in another queue tells of that death alone, also of
// what it has no detail for.
func TestLaterDeathReplacesTheEarlier(t *testing.T) {
	later := DeadLetter{Queue: "letters", Attempts: 1, Reason: "crashed", Time: died.Time.Add(time.Hour)}
	h := later.With(died.With(map[string]string{"Trace": "abc"}))
	got, ok := ParseDeadLetter(h)
	require.True(t, ok)
	require.Equal(t, later, got)
	require.Len(t, h, 5, "no error is left of the first death")
	require.Equal(t, "abc", h["Trace"])
}

func TestNotADeadLetter(t *testing.T) {
	for _, h := range []map[string]string{nil, {}, {"Trace": "abc"}, {deadReason: "crashed", deadAttempts: "4"}} {
		d, ok := ParseDeadLetter(h)
		require.False(t, ok)
		require.Equal(t, DeadLetter{}, d)
	}
}

// What is malformed stays zero, and the rest is told.
func TestMalformedDetails(t *testing.T) {
	h := died.With(nil)
	h[deadAttempts], h[deadTime] = "many", "yesterday"
	d, ok := ParseDeadLetter(h)
	require.True(t, ok)
	require.Equal(t, DeadLetter{Queue: died.Queue, Reason: died.Reason, Error: died.Error}, d)
}

func TestErrorBecomesOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                   "",
		"plain":              "plain",
		"one\ntwo":           "one two",
		"one\r\ntwo":         "one  two",
		"\n":                 " ",
		"nul\x00":            "nul ",
		"tab\tstays":         "tab\tstays",
		"käse 🧀":             "käse 🧀",
		"not \xff\xfe UTF-8": "not \uFFFD UTF-8",
		"cut \xe2\x82":       "cut \uFFFD",
	} {
		d := died
		d.Error = text
		h := d.With(nil)
		got, ok := ParseDeadLetter(h)
		require.True(t, ok)
		assert.Equal(t, want, got.Error, "%q", text)
		value, set := h[deadError]
		assert.Equal(t, text != "", set, "an empty error is left out")
		assert.NoError(t, Check("Key", value))
	}
}

// A long error is cut after 1000 bytes, or before the character that would be
// cut in two.
func TestLongErrorIsCut(t *testing.T) {
	head := strings.Repeat("e", maxErrorText-4)
	for _, c := range []struct{ name, text, want string }{
		{"exactly the bound", head + "abcd", head + "abcd"},
		{"one more", head + "abcde", head + "abcd…"},
		{"much more", head + strings.Repeat("x", 1e6), head + "xxxx…"},
		{"a character ends at the bound", head + "🧀", head + "🧀"},
		{"and one follows", head + "🧀🧀", head + "🧀…"},
		{"a character across the bound by 1", head + "a🧀b", head + "a…"},
		{"by 2", head + "ab🧀b", head + "ab…"},
		{"by 3", head + "abc🧀b", head + "abc…"},
		{"at the bound", head + "abcd🧀", head + "abcd…"},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want[maxErrorText-10:], oneLine(c.text)[maxErrorText-10:])
			require.Len(t, oneLine(c.text), len(c.want))
		})
	}
}

func TestAnyErrorMakesAHeader(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := string(rapid.SliceOfN(rapid.OneOf(
			rapid.Byte(), rapid.SampledFrom([]byte("\r\n\x00a\xf0\x9f\xa7\x80")),
		), 0, 1100).Draw(t, "text"))
		if rapid.Bool().Draw(t, "wide") {
			text = strings.Repeat("é€🧀", 110) + text
		}
		line := oneLine(text)
		require.NoError(t, Check("Key", line))
		require.LessOrEqual(t, len(line), maxErrorText+len("…"))
		if len(text) <= maxErrorText && utf8.ValidString(text) {
			require.Equal(t, utf8.RuneCountInString(text), utf8.RuneCountInString(line))
		}
		d := died
		d.Error = text
		got, err := Decode(Encode(d.With(nil)))
		require.NoError(t, err)
		back, ok := ParseDeadLetter(got)
		require.True(t, ok)
		d.Error = line
		require.Equal(t, d, back)
	})
}
