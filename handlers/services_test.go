package handlers

import (
	"net/http"
	"testing"

	"scratchpaper/internal/httpx"
)

// TestAPrivateAddressIsRefusedByTheAppAndNotByTheService wants to know who can do something about it.
func TestAPrivateAddressIsRefusedByTheAppAndNotByTheService(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	s.app.dial = httpx.Guard{}.Dial
	a := s.post(t, "/connections", s.connection())
	a.is(t, http.StatusUnprocessableEntity, "is private", "ALLOWED_ADDRESSES")
	a.lacks(t, "The service says")
}
