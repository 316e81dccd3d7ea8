//go:build !race

package faulttest

// thin is how many rounds of a test there are for each that is run.
const thin = 1
