// Package layers holds the tests of what may import what.
package layers
