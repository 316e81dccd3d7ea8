package sqlite

import (
	"errors"
	"reflect"
)

// foreignCode finds the result code in an error of a driver that has types of its own
// for it, as github.com/ncruces/go-sqlite3: either a small number that is an error
// itself, or a method that returns one.
func foreignCode(err error) int {
	for err != nil {
		v := reflect.ValueOf(err)
		if n := small(v); n != 0 {
			return n
		}
		if n := result(v.MethodByName("ExtendedCode")); n != 0 {
			return n
		}
		if n := result(v.MethodByName("Code")); n != 0 {
			return n
		}
		if all, ok := err.(interface{ Unwrap() []error }); ok {
			for _, err := range all.Unwrap() {
				if n := foreignCode(err); n != 0 {
					return n
				}
			}
			return 0
		}
		err = errors.Unwrap(err)
	}
	return 0
}

// small is the value of a number of one or two bytes, 0 if v is something else.
func small(v reflect.Value) int {
	switch v.Kind() {
	case reflect.Uint8, reflect.Uint16:
		return int(v.Uint())
	}
	return 0
}

// result is what a method without arguments returns, if that is a number; else 0.
func result(m reflect.Value) int {
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
