package inproq

import (
	"bytes"
	"cmp"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"
)

// ContentType says how a body is encoded. Names are matched without regard to
// case when sending.
//
// See https://developers.cloudflare.com/queues/configuration/javascript-apis/#queuescontenttype.
type ContentType string

// The content types. Which bodies fit:
//
//   - JSON: whatever encoding/json encodes.
//   - Text: strings, in UTF-8.
//   - Bytes: byte slices.
//   - Gob: whatever encoding/gob encodes; only Go can read it.
//
// A Queue[[]byte] or Queue[json.RawMessage] sends and receives bodies verbatim,
// whatever their content type; what it sends as JSON must be valid JSON, and as
// Text valid UTF-8.
const (
	JSON  ContentType = "json"
	Text  ContentType = "text"
	Bytes ContentType = "bytes"
	Gob   ContentType = "gob"
)

// parseContentType normalizes a content type's name.
func parseContentType(ct ContentType) (ContentType, error) {
	switch ct {
	case JSON, Text, Bytes, Gob:
		return ct, nil
	}
	switch lower := ContentType(strings.ToLower(string(ct))); lower {
	case JSON, Text, Bytes, Gob:
		return lower, nil
	case "v8":
		return "", fmt.Errorf(`%w: "v8" is JavaScript's own encoding; for Go values there is "gob"`, ErrContentType)
	}
	return "", fmt.Errorf("%w: unknown %q, allowed: json, text, bytes, gob", ErrContentType, ct)
}

// A codec encodes and decodes bodies of one type.
type codec[T any] struct {
	typ reflect.Type
	// Set for the types whose bodies are taken verbatim.
	toRaw   func(T) []byte
	fromRaw func([]byte) T
}

func newCodec[T any]() codec[T] {
	c := codec[T]{typ: reflect.TypeFor[T]()}
	// The assertions hold exactly when T is []byte or json.RawMessage.
	if f, ok := any(func(b []byte) []byte { return b }).(func(T) []byte); ok {
		c.toRaw = f
	} else if f, ok := any(func(b json.RawMessage) []byte { return b }).(func(T) []byte); ok {
		c.toRaw = f
	}
	if f, ok := any(func(b []byte) []byte { return b }).(func([]byte) T); ok {
		c.fromRaw = f
	} else if f, ok := any(func(b []byte) json.RawMessage { return b }).(func([]byte) T); ok {
		c.fromRaw = f
	}
	return c
}

// verbatim reports whether bodies are passed through as they are.
func (c *codec[T]) verbatim() bool { return c.toRaw != nil }

// initial is the content type of a queue that has none set.
func (c *codec[T]) initial() ContentType {
	if c.typ == reflect.TypeFor[[]byte]() {
		return Bytes
	}
	return JSON
}

// fits reports whether no body of type T could ever be encoded as ct.
func (c *codec[T]) fits(ct ContentType) error {
	if c.verbatim() || c.typ.Kind() == reflect.Interface {
		return nil
	}
	ok := true
	ct = cmp.Or(ct, c.initial())
	switch ct {
	case Text:
		ok = c.typ.Kind() == reflect.String
	case Bytes:
		ok = isBytes(c.typ)
	case JSON, Gob:
		switch c.typ.Kind() {
		case reflect.Chan, reflect.Func, reflect.UnsafePointer:
			ok = false
		}
	}
	if !ok {
		return misfit(ct, c.typ)
	}
	return nil
}

func isBytes(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
}

func misfit(ct ContentType, t reflect.Type) error {
	return fmt.Errorf("%w: a %v does not fit %q", ErrContentType, t, ct)
}

// encode returns the body in the form of the content type. It may share memory
// with body.
func (c *codec[T]) encode(body T, ct ContentType) ([]byte, error) {
	if c.toRaw != nil {
		return encodeRaw(c.toRaw(body), ct)
	}
	return encodePointer(body, ct)
}

// encodePointer is apart from encode because its argument goes to the heap.
func encodePointer[T any](body T, ct ContentType) ([]byte, error) { return encodeValue(&body, ct) }

// encodeRaw checks a body that is sent verbatim.
func encodeRaw(b []byte, ct ContentType) ([]byte, error) {
	switch {
	case ct == JSON && !json.Valid(b):
		return nil, fmt.Errorf("%w: the body is not valid JSON", ErrContentType)
	case ct == Text && !utf8.Valid(b):
		return nil, fmt.Errorf("%w: the text is not valid UTF-8", ErrContentType)
	}
	return b, nil
}

// encodeValue encodes what body points to. A panic of the value's own methods
// is an error like another.
func encodeValue(body any, ct ContentType) (b []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			b, err = nil, fmt.Errorf("%w: encoding %q panicked: %v", ErrContentType, ct, p)
		}
	}()
	v := reflect.ValueOf(body).Elem()
	if v.Kind() == reflect.Interface && (ct == Text || ct == Bytes) {
		v = v.Elem()
	}
	switch ct {
	case JSON:
		b, err = json.Marshal(body) // the pointer: its MarshalJSON counts too
	case Gob:
		var buf bytes.Buffer
		err = gob.NewEncoder(&buf).Encode(body)
		b = buf.Bytes()
	case Text:
		if v.Kind() != reflect.String {
			return nil, misfit(ct, typeOf(v))
		}
		return encodeRaw([]byte(v.String()), ct)
	case Bytes:
		if !v.IsValid() || !isBytes(v.Type()) {
			return nil, misfit(ct, typeOf(v))
		}
		return v.Bytes(), nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: the body does not encode as %q: %w", ErrContentType, ct, err)
	}
	return b, nil
}

// typeOf is v's type, also when v is what a nil interface holds.
func typeOf(v reflect.Value) reflect.Type {
	if !v.IsValid() {
		return nil
	}
	return v.Type()
}

// decode turns a stored body into a T. A []byte shares memory with b.
func (c *codec[T]) decode(b []byte, ct string, body *T) error {
	if c.fromRaw != nil {
		*body = c.fromRaw(b)
		return nil
	}
	return decodeValue(b, ContentType(ct), body)
}

// decodeValue decodes into what body points to.
func decodeValue(b []byte, ct ContentType, body any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("decoding panicked: %v", p)
		}
	}()
	switch ct {
	case JSON:
		return json.Unmarshal(b, body)
	case Gob:
		return gob.NewDecoder(bytes.NewReader(b)).Decode(body)
	}
	v := reflect.ValueOf(body).Elem()
	switch {
	case ct == Text && v.Kind() == reflect.String:
		v.SetString(string(b))
	case ct == Bytes && isBytes(v.Type()):
		v.SetBytes(b)
	case ct == Text && v.Kind() == reflect.Interface:
		v.Set(reflect.ValueOf(string(b)))
	case ct == Bytes && v.Kind() == reflect.Interface:
		v.Set(reflect.ValueOf(b))
	default:
		return fmt.Errorf("content type %q does not decode into a %v", ct, v.Type())
	}
	return nil
}
