package httpapi

import (
	"cmp"
	"net/http"
)

// wrangler asks who it is when it is not told an account id, for "wrangler whoami", and
// after an authentication error.
func (a *api) identityRoutes() []route {
	return []route{
		{"GET", "/accounts", 0, a.listAccounts},
		{"GET", "/memberships", 0, a.listMemberships},
		{"GET", "/user", 0, a.getUser},
		{"GET", "/user/tokens/verify", 0, a.verifyToken},
	}
}

// anyAccount is the account of a broker that answers to all.
const anyAccount = "00000000000000000000000000000000"

type wireAccount struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type wireMembership struct {
	ID      string      `json:"id"`
	Status  string      `json:"status"`
	Account wireAccount `json:"account"`
}

func (a *api) ownAccount() wireAccount {
	return wireAccount{cmp.Or(a.account, anyAccount), "inproq"}
}

func (a *api) listAccounts(r *http.Request) (any, error) {
	return onePage(r, a.ownAccount())
}

func (a *api) listMemberships(r *http.Request) (any, error) {
	account := a.ownAccount()
	return onePage(r, wireMembership{account.ID, "accepted", account})
}

// onePage is a list of one.
func onePage(r *http.Request, item any) (any, error) {
	w, err := window(r.URL.Query(), 1)
	if err != nil {
		return nil, err
	}
	return page{[]any{item}[w.from : w.from+w.info.Count], w.info}, nil
}

func (a *api) getUser(*http.Request) (any, error) {
	return map[string]string{"id": a.ownAccount().ID, "email": "inproq@localhost"}, nil
}

func (a *api) verifyToken(*http.Request) (any, error) {
	return map[string]string{"id": a.ownAccount().ID, "status": "active"}, nil
}
