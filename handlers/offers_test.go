package handlers

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"scratchpaper/internal/core"
)

var (
	formOffered = regexp.MustCompile(`<form[^>]*method="post"[^>]*action="([^"]+)"`)
	linkOffered = regexp.MustCompile(`<a[^>]*href="(/[^"]*)"`)
)

// TestNobodyIsOfferedWhatIsRefusedToThem looks at each page as each role: every form and link on it leads to what the role may do.
func TestNobodyIsOfferedWhatIsRefusedToThem(t *testing.T) {
	t.Parallel()
	e := mustEstate(t)
	e.members()
	offered := map[core.Role]int{}
	for _, role := range core.Roles {
		by := core.Actor{Org: e.by.Org, Kind: core.KindPerson, Role: role}
		for _, r := range e.routes() {
			act := e.app.acts[r.method+" "+r.path]
			if r.method != http.MethodGet || act == core.Open || by.May(act) != nil || strings.HasPrefix(r.path, "/api/") {
				continue
			}
			page := e.ask(t, role.String(), r, e.at(t, r.path), attempt{accept: "text/html"})
			if page.status != http.StatusOK || !strings.HasPrefix(page.header.Get("Content-Type"), "text/html") {
				continue
			}
			for method, found := range map[string][][]string{http.MethodPost: formOffered.FindAllStringSubmatch(page.body, -1), http.MethodGet: linkOffered.FindAllStringSubmatch(page.body, -1)} {
				for _, m := range found {
					path, _, _ := strings.Cut(m[1], "?")
					c := e.app.echo.NewContext(nil, nil)
					e.app.echo.Router().Find(method, path, c)
					does, known := e.app.acts[method+" "+c.Path()]
					offered[role]++
					if known && by.May(does) != nil {
						t.Errorf("%s is offered %s %s on %s", role, method, path, r.path)
					}
				}
			}
		}
	}
	if offered[core.Viewer] < 50 || offered[core.Admin] <= offered[core.Viewer] {
		t.Errorf("the pages offer %v", offered)
	}
}
