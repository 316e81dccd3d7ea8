package sqlite

import (
	"errors"
	"reflect"
)

// foreignCode finds the result code in an error of a driver whose methods return a
// number of a type of its own, as those of github.com/ncruces/go-sqlite3.
func foreignCode(err error) int {
	for ; err != nil; err = errors.Unwrap(err) {
		v := reflect.ValueOf(err)
		if n := numberFrom(v.MethodByName("ExtendedCode")); n != 0 {
			return n
		}
		if n := numberFrom(v.MethodByName("Code")); n != 0 {
			return n
		}
	}
	return 0
}

// numberFrom calls a method without arguments that returns a number; 0: it is none.
func numberFrom(m reflect.Value) int {
	if !m.IsValid() || m.Type().NumIn() != 0 || m.Type().NumOut() != 1 {
		return 0
	}
	switch n := m.Call(nil)[0]; {
	case n.CanInt():
		return int(n.Int())
	case n.CanUint():
		return int(n.Uint())
	}
	return 0
}
