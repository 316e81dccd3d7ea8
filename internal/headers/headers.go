// Package headers keeps a message's headers as bytes: the form in which the
// store holds them beside the body.
//
// The form is a version byte and then, for each header in the order of its key,
// the key and the value, each preceded by its length as a varint.
package headers

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// Reserved begins the keys that only inproq itself sets, in any case.
const Reserved = "Inproq-"

const version = 1

// Check reports what is wrong with headers that an application gives: keys of
// [A-Za-z0-9-]{1,64} that do not begin with Reserved, and values that are UTF-8
// without CR, LF and NUL.
func Check(key, value string) error {
	if len(key) == 0 || len(key) > 64 {
		return fmt.Errorf("header key %.64q has %d bytes, allowed are 1 to 64", key, len(key))
	}
	for _, c := range key {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-') {
			return fmt.Errorf("header key %q has %q, allowed are letters, digits and dashes", key, c)
		}
	}
	if len(key) >= len(Reserved) && strings.EqualFold(key[:len(Reserved)], Reserved) {
		return fmt.Errorf("header key %q is reserved", key)
	}
	if i := strings.IndexAny(value, "\r\n\x00"); i >= 0 {
		return fmt.Errorf("header %s has %q in its value", key, value[i])
	}
	if !utf8.ValidString(value) {
		return fmt.Errorf("header %s has a value that is not UTF-8", key)
	}
	return nil
}

// Encode returns the stored form; nil for no headers.
func Encode(h map[string]string) []byte {
	if len(h) == 0 {
		return nil
	}
	b := []byte{version}
	for _, k := range slices.Sorted(maps.Keys(h)) {
		b = appendString(b, k)
		b = appendString(b, h[k])
	}
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// errMalformed is about bytes that Encode has not written.
var errMalformed = errors.New("malformed headers")

// Decode takes the stored form apart; no bytes are no headers, a nil map.
func Decode(b []byte) (map[string]string, error) {
	if len(b) == 0 {
		return nil, nil
	}
	if b[0] != version {
		return nil, fmt.Errorf("%w: version %d", errMalformed, b[0])
	}
	h := make(map[string]string, 4)
	for b = b[1:]; len(b) > 0; {
		var k, v string
		var ok bool
		if k, b, ok = cutString(b); !ok {
			return nil, errMalformed
		}
		if v, b, ok = cutString(b); !ok {
			return nil, errMalformed
		}
		h[k] = v
	}
	return h, nil
}

func cutString(b []byte) (s string, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return "", nil, false
	}
	b = b[size:]
	return string(b[:n]), b[n:], true
}

// Size is the number of bytes that a limit on headers counts: all keys and
// values.
func Size(h map[string]string) int {
	n := 0
	for k, v := range h {
		n += len(k) + len(v)
	}
	return n
}
