//go:build race

package faulttest

// thin is how many rounds of a test there are for each that is run. The race detector
// makes SQLite, which is Go here, many times slower, and finds in a few rounds what it
// finds in many.
const thin = 4
