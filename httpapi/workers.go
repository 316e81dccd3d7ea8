package httpapi

import "net/http"

// "wrangler triggers deploy" attaches the consumers of a wrangler.jsonc. On its way it
// asks whether the Worker has a workers.dev subdomain, and sets that it has none. There
// are no Workers here, but handlers registered under their names, so the answer is always
// the same.
func (a *api) workerRoutes() []route {
	return []route{
		{"GET", accountPath + "/workers/workers/{script}", QueuesRead, a.getWorker},
		{"POST", accountPath + "/workers/scripts/{script}/subdomain", QueuesWrite, a.setSubdomain},
	}
}

type wireSubdomain struct {
	Enabled         bool `json:"enabled"`
	PreviewsEnabled bool `json:"previews_enabled"`
}

type wireWorker struct {
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	Subdomain wireSubdomain `json:"subdomain"`
}

func (a *api) getWorker(r *http.Request) (any, error) {
	script := r.PathValue("script")
	return wireWorker{ID: script, Name: script}, nil
}

// subdomainRequest decodes what a Worker's subdomain should be: only none will do.
func subdomainRequest(raw []byte) error {
	var d decoder
	o := d.body(raw, "enabled", "previews_enabled")
	for _, key := range []string{"enabled", "previews_enabled"} {
		if isTrue(o.flag(key)) {
			d.fail(codeInvalid, o.place(key), `there is no workers.dev here: set "workers_dev" and "preview_urls" to false`)
		}
	}
	return d.err
}

func (a *api) setSubdomain(r *http.Request) (any, error) {
	raw, err := readBody(r)
	if err == nil {
		err = subdomainRequest(raw)
	}
	return wireSubdomain{}, err
}
