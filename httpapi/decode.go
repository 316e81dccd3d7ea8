package httpapi

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A decoder takes JSON apart that others have written. The first problem sticks, with
// its place, and all that is decoded after it is zero: so the code that wants the fields
// of a request names them one after the other, and asks once, at the end.
//
// What is not wanted is not decoded: a value is looked at once for each level that it is
// within, and no more elements of a list are kept than it may have.
type decoder struct{ err error }

// fail notes a problem.
func (d *decoder) fail(code int, at, format string, args ...any) {
	if d.err == nil {
		d.err = invalid(code, at, format, args...)
	}
}

// An object is a JSON object, each of whose keys is known and there once. A key whose
// value is null is as good as absent.
type object struct {
	*decoder
	at     string // the place: a JSON pointer
	fields map[string]json.RawMessage
}

// body decodes the body of a request, which is an object with at most these keys.
func (d *decoder) body(raw []byte, keys ...string) object {
	if len(bytes.TrimSpace(raw)) == 0 {
		d.fail(codeMalformed, "", "the body is empty, and should be a JSON object")
	}
	return d.object(raw, "", keys...)
}

// object decodes one that is at some place.
func (d *decoder) object(raw []byte, at string, keys ...string) object {
	o := object{decoder: d, at: at, fields: make(map[string]json.RawMessage, min(len(keys), 8))}
	if d.err != nil {
		return o
	}
	in := json.NewDecoder(bytes.NewReader(raw))
	if t, err := in.Token(); err != nil || t != json.Delim('{') {
		d.wrongType(raw, at, "an object", err)
		return o
	}
	for in.More() {
		t, err := in.Token()
		if err != nil {
			d.malformed(at, err)
			return o
		}
		key, _ := t.(string) // it is one, or Token had failed
		if !slices.Contains(keys, key) {
			d.fail(codeInvalid, at+"/"+pointer(key), "unknown key %s, known: %s", quote(key), strings.Join(keys, ", "))
			return o
		}
		if _, twice := o.fields[key]; twice {
			d.fail(codeInvalid, at+"/"+key, "key %q is there twice", key)
			return o
		}
		var value json.RawMessage
		if err := in.Decode(&value); err != nil {
			d.malformed(at+"/"+key, err)
			return o
		}
		o.fields[key] = value
	}
	if _, err := in.Token(); err != nil { // the closing brace
		d.malformed(at, err)
		return o
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		d.fail(codeMalformed, at, "there is something after the JSON value")
	}
	return o
}

// value returns a field, nil if it is absent or null.
func (o object) value(key string) json.RawMessage {
	v := o.fields[key]
	if o.err != nil || string(v) == "null" {
		return nil
	}
	return v
}

// place returns where a field is.
func (o object) place(key string) string { return o.at + "/" + key }

// require fails unless a field is there.
func (o object) require(code int, key string) {
	if o.err == nil && o.value(key) == nil {
		o.fail(code, o.place(key), "%s is required", key)
	}
}

// text returns a string, "" if it is absent.
func (o object) text(key string) (s string) {
	if v := o.value(key); v != nil && !unquote(v, &s) {
		o.wrongType(v, o.place(key), "a string", nil)
	}
	return s
}

// flag returns a boolean, nil if it is absent.
func (o object) flag(key string) *bool {
	switch v := o.value(key); string(v) {
	case "":
		return nil
	case "true":
		return new(true)
	case "false":
		return new(false)
	default:
		o.wrongType(v, o.place(key), "true or false", nil)
		return nil
	}
}

// number returns a whole number, nil if it is absent. SDKs have floats for them: 5.0 and
// 5e0 are 5. One that is not whole, or out of all bounds, has the code of whatever bound
// it would exceed.
func (o object) number(key string, code int) *int64 {
	v := o.value(key)
	switch {
	case v == nil:
		return nil
	case v[0] != '-' && (v[0] < '0' || v[0] > '9'):
		o.wrongType(v, o.place(key), "a number", nil)
		return nil
	}
	if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
		return &n
	}
	const exact = 1 << 53 // up to here a float64 has every whole number
	f, err := strconv.ParseFloat(string(v), 64)
	switch {
	case err != nil || math.Abs(f) > exact:
		o.fail(code, o.place(key), "%s is out of range", key)
	case f != math.Trunc(f):
		o.fail(code, o.place(key), "%s is %v, and should be a whole number", key, f)
	default:
		return new(int64(f))
	}
	return nil
}

// count is a number that is an int within bounds.
func (o object) count(key string, code, lo, hi int) *int {
	n := o.number(key, code)
	if n == nil {
		return nil
	}
	if *n < int64(lo) || *n > int64(hi) {
		o.fail(code, o.place(key), "%s is %d, allowed: %d to %d", key, *n, lo, hi)
		return nil
	}
	return new(int(*n))
}

// duration is a number of units within bounds.
func (o object) duration(key string, unit time.Duration, code int, lo, hi time.Duration) *time.Duration {
	n := o.number(key, code)
	if n == nil {
		return nil
	}
	if *n < ceil(lo, unit) || *n > int64(hi/unit) { // in units, which do not overflow
		o.fail(code, o.place(key), "%s is %d, allowed: %d to %d", key, *n, ceil(lo, unit), hi/unit)
		return nil
	}
	return new(time.Duration(*n) * unit)
}

// list calls each for every element of an array, which has at most so many. Each gets an
// element and its place.
func (o object) list(key string, most int, each func(element json.RawMessage, at string)) (n int) {
	v := o.value(key)
	if v == nil {
		return 0
	}
	in := json.NewDecoder(bytes.NewReader(v))
	if t, err := in.Token(); err != nil || t != json.Delim('[') {
		o.wrongType(v, o.place(key), "an array", err)
		return 0
	}
	for in.More() && o.err == nil {
		if n == most {
			o.fail(codeBatchCount, o.place(key), "%s has more than %d elements", key, most)
			return n
		}
		var element json.RawMessage
		if err := in.Decode(&element); err != nil {
			o.malformed(o.place(key), err)
			return n
		}
		each(element, o.place(key)+"/"+strconv.Itoa(n))
		n++
	}
	return n
}

// wrongType notes that a value is something else than it should be, or no JSON at all.
func (d *decoder) wrongType(v []byte, at, want string, err error) {
	if err == nil && json.Valid(v) {
		name := at[strings.LastIndexByte(at, '/')+1:]
		if name == "" {
			name = "the body"
		}
		d.fail(codeInvalid, at, "%s is %s, and should be %s", name, kindOf(v), want)
		return
	}
	if err == nil {
		err = json.Unmarshal(v, new(json.RawMessage))
	}
	d.malformed(at, err)
}

// malformed notes that what is there is no JSON.
func (d *decoder) malformed(at string, err error) {
	what := "it ends too early"
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok && syntax.Error() != "unexpected end of JSON input" {
		what = syntax.Error()
	}
	d.fail(codeMalformed, at, "the body is not valid JSON: %s", what)
}

// kindOf names what a valid JSON value is.
func kindOf(v []byte) string {
	switch bytes.TrimSpace(v)[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// unquote decodes a JSON string. It reports false for what is none.
func unquote(v []byte, s *string) bool { return v[0] == '"' && json.Unmarshal(v, s) == nil }

// pointer is a key as a segment of a JSON pointer, not longer than a reader wants it.
func pointer(key string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(clip(key))
}

// quote is a key in a text.
func quote(key string) string { return strconv.Quote(clip(key)) }

// clip bounds what comes back of a request in a reply.
func clip(s string) string {
	const most = 64
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// ceil is d in units, rounded up.
func ceil(d, unit time.Duration) int64 {
	n := int64(d / unit)
	if d%unit > 0 {
		n++
	}
	return n
}

// The values of fields that may be absent, which are zero then.

func number(p *int) int { return *cmp.Or(p, new(0)) }

func duration(p *time.Duration) time.Duration { return *cmp.Or(p, new(time.Duration(0))) }

func isTrue(p *bool) bool { return *cmp.Or(p, new(false)) }
