// Package e2e tries package httpapi with the official Go SDK of Cloudflare. It is a
// module of its own because that SDK is large: its first compilation takes minutes.
package e2e
