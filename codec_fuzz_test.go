package inproq

import (
	"encoding/json"
	"reflect"
	"testing"
)

type fuzzedBody struct {
	N     int
	S     string
	Inner *fuzzedBody
	M     map[string][]byte
}

// fuzzDecode decodes anything into a T; what decodes has to encode again and come
// back the same.
func fuzzDecode[T any](t *testing.T, body []byte, ct ContentType) {
	c := newCodec[T]()
	var first, second T
	if c.decode(body, string(ct), &first) != nil {
		return
	}
	if c.verbatim() {
		return
	}
	if err := c.fits(ct); err != nil {
		t.Fatalf("%q decodes into a %v, which is said not to fit: %v", ct, c.typ, err)
	}
	if ct == Text {
		return // not checked for UTF-8 again: it was when sent
	}
	again, err := c.encode(first, ct)
	if err != nil {
		if any(first) == nil || ct == Gob {
			return // gob decodes pointers to nothing that it does not encode
		}
		t.Fatalf("decoded from %q, does not encode: %v", body, err)
	}
	if err := c.decode(again, string(ct), &second); err != nil {
		t.Fatalf("decoded from %q, encoded to %q, does not decode: %v", body, again, err)
	}
	if ct == JSON && !reflect.DeepEqual(first, second) {
		t.Fatalf("decoded from %q, came back as %q", body, again)
	}
}

func FuzzDecode(f *testing.F) {
	gob, err := encodeValue(&fuzzedBody{N: 1, S: "s", Inner: &fuzzedBody{M: map[string][]byte{"k": {1}}}}, Gob)
	if err != nil {
		f.Fatal(err)
	}
	for i, body := range []string{
		string(gob), `{"N":1,"Inner":{"S":"x"},"M":{"k":"AQ=="}}`, `"text"`, `[1,2,{"a":null}]`, "null", "", "\xff\x00", "1e999", "7",
	} {
		f.Add([]byte(body), byte(i))
		f.Add([]byte(body), byte(i+1))
	}
	types := []ContentType{JSON, Gob, Text, Bytes, "v8", ""}
	f.Fuzz(func(t *testing.T, body []byte, n byte) {
		ct := types[int(n)%len(types)]
		fuzzDecode[fuzzedBody](t, body, ct)
		fuzzDecode[*fuzzedBody](t, body, ct)
		fuzzDecode[string](t, body, ct)
		fuzzDecode[[]byte](t, body, ct)
		fuzzDecode[json.RawMessage](t, body, ct)
		fuzzDecode[any](t, body, ct)
		fuzzDecode[map[string]int](t, body, ct)
	})
}
