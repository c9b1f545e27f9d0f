// Package httpx guards what goes out: every connection that a user's settings lead to is looked at when it is dialed.
package httpx

import (
	"context"
	"net"
	"net/netip"
	"syscall"
	"time"

	"scratchpaper/internal/core"
)

// Guard says which addresses may be dialed.
type Guard struct {
	// AllowPrivate lets in loopback and private addresses: for an app that one person runs for themselves.
	AllowPrivate bool
	// Refuse are the app's own Postgres and Redis.
	Refuse []netip.AddrPort
	// Record is told each address that would be dialed, and nothing is dialed: for tests. Nil dials.
	Record func(netip.AddrPort)
}

// never are metadata services and what is on the link: no setting lets them in.
var never = []netip.Prefix{netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("fd00:ec2::254/128"),
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("::/128"), netip.MustParsePrefix("224.0.0.0/4"), netip.MustParsePrefix("ff00::/8")}

// Check gives a Forbidden error for an address that may not be dialed.
func (g Guard) Check(a netip.AddrPort) error {
	ip := a.Addr().Unmap()
	for _, p := range never {
		if p.Contains(ip) {
			return core.Errorf(core.Forbidden, "The address %s is not allowed: it belongs to this machine's own network.", ip)
		}
	}
	for _, r := range g.Refuse {
		if r.Port() == a.Port() && (r.Addr().Unmap() == ip || r.Addr().IsLoopback() && ip.IsLoopback()) {
			return core.Errorf(core.Forbidden, "The address %s is the app's own database.", a)
		}
	}
	if !g.AllowPrivate && (ip.IsLoopback() || ip.IsPrivate()) {
		return core.Errorf(core.Forbidden, "The address %s is private; only public addresses are allowed here.", ip)
	}
	return nil
}

// Dial opens a connection to an address that is allowed; the check is made on what the name came to, at the last moment.
func (g Guard) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		a, err := netip.ParseAddrPort(address)
		if err != nil {
			return core.Errorf(core.Forbidden, "Only network addresses are allowed.")
		}
		if g.Record != nil {
			g.Record(a)
			return core.Errorf(core.Forbidden, "Nothing is dialed.")
		}
		return g.Check(a)
	}}
	if network != "tcp" && network != "tcp4" && network != "tcp6" {
		return nil, core.Errorf(core.Forbidden, "Only network addresses are allowed.")
	}
	return d.DialContext(ctx, network, address)
}
