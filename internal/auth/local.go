package auth

import (
	"net"
	"net/http"

	"scratchpaper/internal/core"
)

// Local lets in one person without a sign-in: whoever sits at this machine. It belongs into a chain only when nothing else is
// configured; Host and Origin of each request are checked before.
type Local struct{}

// Authenticate knows every request that comes over the loopback interface.
func (Local) Authenticate(r *http.Request) (core.Actor, bool, error) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return core.Actor{}, false, core.Errorf(core.Unauthorized, "Nobody has to sign in here, so only this computer is let in.")
	}
	return core.Local(), true, nil
}
