package headers

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestKeyLength(t *testing.T) {
	for bytes, ok := range map[int]bool{0: false, 1: true, 2: true, 63: true, 64: true, 65: false, 1000: false} {
		err := Check(strings.Repeat("k", bytes), "v")
		if ok {
			require.NoError(t, err, "%d bytes", bytes)
			continue
		}
		require.ErrorContains(t, err, fmt.Sprintf("%d bytes", bytes))
		require.ErrorContains(t, err, "1 to 64")
	}
}

// Every byte at every place of a key: letters, digits and dashes, nothing else.
func TestKeyCharacters(t *testing.T) {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"
	for c := range 256 {
		b := string([]byte{byte(c)})
		for _, key := range []string{b, b + "x", "x" + b, "x" + b + "x"} {
			if strings.Contains(allowed, b) {
				assert.NoError(t, Check(key, "v"), "%q", key)
			} else {
				assert.ErrorContains(t, Check(key, "v"), "letters, digits and dashes", "%q", key)
			}
		}
	}
}

func TestReservedKeys(t *testing.T) {
	for key, reserved := range map[string]bool{
		"Inproq-":                   true,
		"inproq-":                   true,
		"INPROQ-":                   true,
		"iNpRoQ-x":                  true,
		"inproq-anything-else":      true,
		"inproq--":                  true,
		deadQueue:                   true,
		strings.ToUpper(deadReason): true,
		"Inproq":                    false,
		"Inproqs-":                  false,
		"X-Inproq-":                 false,
		"-Inproq-":                  false,
		"Inpro-":                    false,
		"Inpro":                     false,
		"I":                         false,
	} {
		if err := Check(key, "v"); reserved {
			require.ErrorContains(t, err, "reserved", key)
			require.ErrorContains(t, err, key)
		} else {
			require.NoError(t, err, key)
		}
	}
}

func TestValues(t *testing.T) {
	for value, problem := range map[string]string{
		"":                       "",
		" ":                      "",
		"plain":                  "",
		"\t\x01\x1f\x7f":         "",
		"käse, 日本, 🧀":            "",
		"\u2028\u0085\ufffd":     "",
		strings.Repeat("v", 1e5): "",
		"\r":                     `'\r'`,
		"\n":                     `'\n'`,
		"\x00":                   `'\x00'`,
		"begins\r\nends":         `'\r'`,
		"ends\n":                 `'\n'`,
		"ends\x00":               `'\x00'`,
		"\xff":                   "not UTF-8",
		"cut \xe2\x82":           "not UTF-8",
		"surrogate \xed\xa0\x80": "not UTF-8",
		"overlong \xc0\x80":      "not UTF-8",
	} {
		err := Check("Key", value)
		if problem == "" {
			require.NoError(t, err, "%.20q", value)
			continue
		}
		require.ErrorContains(t, err, problem, "%q", value)
		require.ErrorContains(t, err, "Key", "the error names the header")
	}
}
