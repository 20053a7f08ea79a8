package platform

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
)

type object = map[string]any

// Operation names what a path under /platform/ asks for: "environments", "log",
// "search", or nothing for one that is not served.
func Operation(path string) (operation, method string) {
	switch parts := segments(path); {
	case len(parts) == 4 && parts[0] == "v1" && parts[1] == "organizations" && parts[3] == "environments":
		return "environments", http.MethodGet
	case len(parts) == 5 && parts[0] == "v1" && parts[1] == "organizations" && parts[3] == "logs":
		return "log", http.MethodGet
	case len(parts) == 6 && parts[0] == "v1" && parts[1] == "environments" && strings.Join(parts[3:], "/") == "logs/search/metadata":
		return "search", http.MethodPost
	}
	return "", ""
}

func segments(path string) []string {
	return strings.Split(strings.TrimPrefix(path, "/platform/"), "/")
}

// Serve answers a request of a user who may ask. rule names what a refusal is for.
func (a *API) Serve(u *url.URL, body []byte) (status int, answer []byte, rule string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	parts := segments(u.Path)
	operation, _ := Operation(u.Path)
	if operation != "search" && parts[2] != strconv.Itoa(a.cfg.Organization) {
		return refuse(http.StatusForbidden, "organization-of-others")
	}
	switch operation {
	case "environments":
		return a.environments()
	case "log":
		return a.log(parts[4], u.Query().Get("dataMode"))
	}
	return a.search(parts[2], u.Query(), body)
}

func refuse(status int, rule string) (int, []byte, string) {
	return status, encode(object{"meta": object{"version": "1.0.0"}, "errors": []any{object{"code": rule}}}), rule
}

func encode(v any) []byte {
	text, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		panic("redoxsim/platform: own answer does not marshal: " + err.Error())
	}
	return text
}

func (a *API) environments() (int, []byte, string) {
	var all []any
	for _, e := range a.cfg.Environments {
		all = append(all, object{"id": e.ID, "name": e.Name, "environmentFlag": e.Flag, "organization": object{"id": a.cfg.Organization}})
	}
	return http.StatusOK, encode(object{"meta": object{"version": "1.0.0"}, "payload": object{"environments": all}}), ""
}

// log answers for one log. Without a data mode only realtime logs are found.
func (a *API) log(id, mode string) (int, []byte, string) {
	e := a.byID[id]
	if mode == "" {
		mode = Realtime
	}
	if e == nil || e.script.Mode != mode {
		return refuse(http.StatusNotFound, "log-unknown")
	}
	view, seen := a.view(e)
	if !seen {
		return refuse(http.StatusNotFound, "log-not-visible")
	}
	payload := view.wire(a.cfg.Note)
	if a.cfg.Shape.Result {
		payload = object{"result": payload}
	}
	return http.StatusOK, encode(object{"meta": object{"version": "1.0.0"}, "payload": payload}), ""
}
