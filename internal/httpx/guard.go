// Package httpx guards what goes out: every connection that a user's settings lead to is looked at when it is dialed.
package httpx

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"code.dny.dev/ssrf"

	"scratchpaper/internal/core"
)

// dialLimit bounds one attempt to connect.
const dialLimit = 10 * time.Second

// Guard says which addresses may be dialed. The zero Guard lets in public addresses only.
type Guard struct {
	// AllowPrivate lets in loopback and private addresses: for an app that one person runs for themselves.
	AllowPrivate bool
	// Allow are networks that the operator lets in beside public addresses.
	Allow []netip.Prefix
	// Sample is the address of the app's sample, which is let in wherever it lies; the zero one is none.
	Sample netip.AddrPort
	// Refuse are the app's own Postgres and Redis. The sample's address is not among them: there the database itself
	// lets nobody in but the sample's role.
	Refuse []netip.AddrPort
	// Record is told each address that would be dialed, and nothing is dialed: for tests. Nil dials.
	Record func(netip.AddrPort)
}

// never gives the addresses that no setting lets in: metadata services of the clouds and what is on the link, and
// what names no single machine.
func never() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("169.254.0.0/16"),
		netip.MustParsePrefix("fe80::/10"),
		netip.MustParsePrefix("fd00:ec2::254/128"),  // AWS
		netip.MustParsePrefix("fd20:ce::254/128"),   // Google
		netip.MustParsePrefix("100.100.100.200/32"), // Alibaba
		netip.MustParsePrefix("192.0.0.192/32"),     // Oracle
		netip.MustParsePrefix("0.0.0.0/8"),
		netip.MustParsePrefix("::/128"),
		netip.MustParsePrefix("224.0.0.0/4"),
		netip.MustParsePrefix("240.0.0.0/4"),
		netip.MustParsePrefix("ff00::/8"),
	}
}

// Check gives a Forbidden error for an address that may not be dialed.
func (g Guard) Check(a netip.AddrPort) error {
	ip := plain(a.Addr())
	if slices.ContainsFunc(never(), func(p netip.Prefix) bool { return p.Contains(ip) }) {
		return core.Errorf(core.Forbidden, "The address %s is never connected to: it belongs to the network that this machine runs in.", a.Addr())
	}
	if slices.ContainsFunc(g.Refuse, func(own netip.AddrPort) bool { return own.Port() == a.Port() && sameMachine(plain(own.Addr()), ip) }) {
		return core.Errorf(core.Forbidden, "The address %s is the app's own database.", a)
	}
	if g.AllowPrivate || a == g.Sample || slices.ContainsFunc(g.Allow, func(p netip.Prefix) bool { return p.Contains(ip) }) {
		return nil
	}
	if err := ssrf.New(ssrf.WithAnyPort()).SafeAddr(ip); err != nil {
		return core.Wrap(err, core.Forbidden, "The address %s is private, and connections lead to public addresses only. Whoever runs this app can let it in: ALLOWED_ADDRESSES.", a.Addr())
	}
	return nil
}

// plain gives the IPv4 address that an IPv6 one stands for (mapped, NAT64, 6to4), and takes off the zone, with which
// no prefix would contain the address.
func plain(ip netip.Addr) netip.Addr {
	ip = ip.Unmap().WithZone("")
	b := ip.As16()
	switch {
	case netip.MustParsePrefix("64:ff9b::/96").Contains(ip):
		return netip.AddrFrom4([4]byte(b[12:]))
	case netip.MustParsePrefix("2002::/16").Contains(ip):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return ip
}

// sameMachine says whether two addresses reach the same machine: all of this machine's own do.
func sameMachine(own, ip netip.Addr) bool {
	return own == ip || isOurs(own) && isOurs(ip)
}

func isOurs(ip netip.Addr) bool {
	if ip.IsLoopback() {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(addrs, func(a net.Addr) bool {
		p, err := netip.ParsePrefix(a.String())
		return err == nil && p.Addr().Unmap() == ip
	})
}

// Dial opens a connection to an address that is allowed; the check is made on what the name came to, at the last
// moment, for each address that is tried. It fits http.Transport.DialContext and pgconn.Config.DialFunc. Sockets are
// refused. Codes: Forbidden, else the network's own error.
func (g Guard) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if network != "tcp" && network != "tcp4" && network != "tcp6" {
		return nil, core.Errorf(core.Forbidden, "Only network addresses are allowed.")
	}
	d := net.Dialer{Timeout: dialLimit, KeepAlive: 15 * time.Second, Control: g.control}
	return d.DialContext(ctx, network, address)
}

// control runs after the socket is made and before anything is sent.
func (g Guard) control(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return core.Wrap(err, core.Forbidden, "Only network addresses are allowed.")
	}
	if g.Record != nil {
		g.Record(a)
		return core.Errorf(core.Forbidden, "Nothing is dialed.")
	}
	return g.Check(a)
}
