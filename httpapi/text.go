package httpapi

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// loneSurrogate reports whether a JSON string, which is valid, escapes half a surrogate
// pair. JSON has it, but no text does: encoding/json would put U+FFFD in its place, and
// change a message that way.
func loneSurrogate(v []byte) bool {
	for i := 0; i < len(v); i++ {
		if v[i] != '\\' {
			continue
		}
		r := escapedRune(v[i:])
		i++ // past what is escaped, which may be a backslash
		if !utf16.IsSurrogate(r) {
			continue
		}
		i += 4
		if utf16.DecodeRune(r, escapedRune(v[i+1:])) == utf8.RuneError {
			return true
		}
		i += 6
	}
	return false
}

// escapedRune returns what an escape of the form \uXXXX stands for, -1 if v does not begin
// with one.
func escapedRune(v []byte) rune {
	if len(v) < 6 || v[0] != '\\' || v[1] != 'u' {
		return -1
	}
	n, err := strconv.ParseUint(string(v[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return rune(n)
}
