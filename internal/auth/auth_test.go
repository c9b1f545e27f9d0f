package auth

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"scratchpaper/internal/core"
)

func request(from string, header ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "http://localhost/", nil)
	r.RemoteAddr = from
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

// named knows requests that name somebody in X-As, and refuses the name "gone".
type named struct{}

func (named) Authenticate(r *http.Request) (core.Actor, bool, error) {
	switch name := r.Header.Get("X-As"); name {
	case "":
		return core.Actor{}, false, nil
	case "gone":
		return core.Actor{}, false, core.Errorf(core.Unauthorized, "Gone.")
	default:
		return core.Actor{Person: name}, true, nil
	}
}

func TestTheFirstThatKnowsARequestSaysWhoAsks(t *testing.T) {
	t.Parallel()
	c := Chain{UnknownToken{}, named{}, Local{}}
	for _, at := range []struct {
		r      *http.Request
		person string // "" is refused
	}{
		{request("127.0.0.1:1"), core.LocalPerson},
		{request("[::1]:1"), core.LocalPerson},
		{request("127.0.0.1:1", "X-As", "ana"), "ana"},
		{request("127.0.0.1:1", "X-As", "gone"), ""},
		{request("127.0.0.1:1", "Authorization", "Bearer x"), ""},
		{request("127.0.0.1:1", "Authorization", "Basic eDp5"), ""},
		{request("127.0.0.1:1", "Authorization", "Bearer x", "X-As", "ana"), ""},
		{request("192.0.2.1:1"), ""},
		{request("nonsense"), ""},
	} {
		by, err := c.Identify(at.r)
		if by.Person != at.person || (at.person == "") != (core.CodeOf(err) == core.Unauthorized) {
			t.Errorf("%s %v is %q, %v; want %q", at.r.RemoteAddr, at.r.Header, by.Person, err, at.person)
		}
	}
	if _, err := (Chain{named{}}).Identify(request("127.0.0.1:1")); core.CodeOf(err) != core.Unauthorized {
		t.Errorf("a request that nobody knows gives %v", err)
	}
}
