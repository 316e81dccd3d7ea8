package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// Permission is what a token permits, or what a request needs: a set of the
// permissions that Cloudflare has for Queues. Pulling and acknowledging need both. Zero
// is what a token has that is valid and permits nothing.
type Permission uint8

// The permissions.
const (
	QueuesRead  Permission = 1 << iota // queues_read: to look
	QueuesWrite                        // queues_write: to send and to change
)

// String returns Cloudflare's names.
func (p Permission) String() string {
	var names []string
	if p&QueuesRead != 0 {
		names = append(names, "queues_read")
	}
	if p&QueuesWrite != 0 {
		names = append(names, "queues_write")
	}
	return strings.Join(names, ", ")
}

// A refusal is an error of authorization whose text the caller may see.
type refusal string

func (r refusal) Error() string { return string(r) }

// StaticTokens returns a Config.Authorize that knows tokens and what each permits. A
// request brings its token as "Authorization: Bearer" or, as wrangler and the SDK do with
// a global key, as X-Auth-Key. It is compared in constant time, so that its bytes cannot
// be found one after the other.
//
// Panics if a token is empty.
func StaticTokens(tokens map[string]Permission) func(r *http.Request, need Permission) error {
	type grant struct {
		digest [sha256.Size]byte // of equal length, whatever the token's
		may    Permission
	}
	grants := make([]grant, 0, len(tokens))
	for token, may := range tokens {
		if token == "" {
			panic("httpapi: an empty token lets everybody in")
		}
		grants = append(grants, grant{sha256.Sum256([]byte(token)), may})
	}
	return func(r *http.Request, need Permission) error {
		token := tokenOf(r)
		if token == "" {
			return refusal("the request has no token")
		}
		digest := sha256.Sum256([]byte(token))
		known, may := 0, Permission(0)
		for i := range grants { // all of them, also after the right one
			if same := subtle.ConstantTimeCompare(digest[:], grants[i].digest[:]); same == 1 {
				known, may = 1, grants[i].may
			}
		}
		switch {
		case known == 0:
			return refusal("the token is not valid")
		case may&need != need:
			return refusal("the token lacks " + (need &^ may).String())
		}
		return nil
	}
}

// tokenOf returns the token that a request brings, "" if none.
func tokenOf(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	if scheme == "" {
		return r.Header.Get("X-Auth-Key")
	}
	return ""
}

// ThisMachine returns what an API without a Config.Authorize goes by, for what stands
// beside it: only requests from this machine, whatever their token.
func ThisMachine() func(r *http.Request, need Permission) error { return thisMachine() }

// thisMachine returns the Authorize of an API without one: it lets in what comes from
// this machine, and not on behalf of somebody else. A web page that is open in a browser
// here could otherwise purge a queue: by a request to 127.0.0.1, which needs no consent
// since a body that calls itself text is taken for JSON, or under a name of its own that
// it has made point to 127.0.0.1. And behind a proxy on this machine everybody's requests
// come from here: where one has left its mark, this API is not the open one of a developer.
func thisMachine() func(*http.Request, Permission) error {
	origin := http.NewCrossOriginProtection()
	return func(r *http.Request, _ Permission) error {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		switch {
		case err != nil || !peer.Addr().Unmap().IsLoopback():
			return refusal("without Config.Authorize this API answers only to loopback addresses")
		case !isLoopbackName(r.Host):
			return refusal("without Config.Authorize this API answers only under a loopback name, such as localhost")
		case origin.Check(r) != nil:
			return refusal("without Config.Authorize this API does not answer to other origins")
		}
		if mark := markOfProxy(r.Header); mark != "" {
			return refusal("without Config.Authorize this API does not answer through a proxy: " +
				"there is a header " + mark)
		}
		return nil
	}
}

// markOfProxy returns the header, if there is one, that says that a proxy has passed a
// request on.
func markOfProxy(h http.Header) string {
	for _, name := range []string{
		"X-Forwarded-For", "Forwarded", "Via", "X-Real-IP", "CF-Connecting-IP",
	} {
		if len(h.Values(name)) > 0 {
			return name
		}
	}
	return ""
}

// isLoopbackName reports whether a Host header names this machine to itself.
func isLoopbackName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	switch {
	case host == "localhost", strings.HasSuffix(host, ".localhost"):
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
