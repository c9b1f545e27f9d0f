package httpx_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"scratchpaper/internal/core"
	"scratchpaper/internal/httpx"
)

func TestMetadataAndLinkLocalAreNeverAllowed(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"169.254.169.254:80", "169.254.1.1:5432", "[fe80::1]:80", "[fe80::1%eth0]:80", "[fd00:ec2::254]:80",
		"[::ffff:169.254.169.254]:80", "[64:ff9b::a9fe:a9fe]:80", "[2002:a9fe:a9fe::1]:80",
		"100.100.100.200:80", "0.0.0.0:80", "[::]:80", "224.0.0.1:80", "255.255.255.255:80",
	} {
		for _, private := range []bool{false, true} {
			err := httpx.Guard{AllowPrivate: private}.Check(netip.MustParseAddrPort(address))
			if core.CodeOf(err) != core.Forbidden {
				t.Errorf("%s (private addresses allowed: %v): %v", address, private, err)
			}
		}
	}
}

func TestPrivateAddressesNeedToBeAllowed(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"127.0.0.1:80", "[::1]:80", "10.1.2.3:80", "192.168.1.1:80", "172.16.0.1:80", "100.64.0.1:80", "[fd12::1]:80", "[::ffff:10.0.0.1]:80"} {
		a := netip.MustParseAddrPort(address)
		if core.CodeOf(httpx.Guard{}.Check(a)) != core.Forbidden {
			t.Errorf("%s is let in", address)
		}
		if err := (httpx.Guard{AllowPrivate: true}).Check(a); err != nil {
			t.Errorf("%s is refused although private addresses are allowed: %v", address, err)
		}
	}
	for _, address := range []string{"93.184.215.14:443", "[2606:2800:220:1::1]:5432"} {
		if err := (httpx.Guard{}).Check(netip.MustParseAddrPort(address)); err != nil {
			t.Errorf("%s is refused: %v", address, err)
		}
	}
}

func TestTheAppsOwnServersAreRefusedUnderEveryName(t *testing.T) {
	t.Parallel()
	g := httpx.Guard{AllowPrivate: true, Refuse: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:5432"), netip.MustParseAddrPort("10.0.0.9:6379")}}
	for address, refused := range map[string]bool{
		"127.0.0.1:5432": true, "[::1]:5432": true, "127.0.0.2:5432": true, "[::ffff:127.0.0.1]:5432": true, "10.0.0.9:6379": true,
		"127.0.0.1:5433": false, "10.0.0.9:5432": false, "10.0.0.8:6379": false,
	} {
		if err := g.Check(netip.MustParseAddrPort(address)); (err != nil) != refused {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, ip := range ownAddresses(t) {
		if g.Check(netip.AddrPortFrom(ip, 5432)) == nil {
			t.Errorf("the app's database is reached by this machine's address %s", ip)
		}
	}
}

func ownAddresses(t *testing.T) []netip.Addr {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	var out []netip.Addr
	for _, a := range addrs {
		out = append(out, netip.MustParsePrefix(a.String()).Addr())
	}
	return out
}

func TestNothingIsSentToTheMetadataService(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen []string
	g := httpx.Guard{AllowPrivate: true, Record: func(a netip.AddrPort) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, a.String())
	}}
	client := &http.Client{Transport: &http.Transport{DialContext: g.Dial}}
	_, err := client.Get("http://169.254.169.254/latest/meta-data/")
	if core.CodeOf(err) != core.Forbidden {
		t.Fatalf("the request gives %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	if strings.Join(seen, " ") != "169.254.169.254:80" {
		t.Errorf("the dialer saw %v", seen)
	}
}

func TestTheCheckIsMadeOnWhatANameComesTo(t *testing.T) {
	t.Parallel()
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls++ }))
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	get := func(g httpx.Guard) error {
		client := &http.Client{Transport: &http.Transport{DialContext: g.Dial, DisableKeepAlives: true}}
		answer, err := client.Get("http://localhost:" + port)
		if err == nil {
			answer.Body.Close()
		}
		return err
	}
	if err := get(httpx.Guard{}); core.CodeOf(err) != core.Forbidden || calls != 0 {
		t.Errorf("a name of loopback is let in: %v, %d calls", err, calls)
	}
	if err := get(httpx.Guard{AllowPrivate: true}); err != nil || calls != 1 {
		t.Errorf("an allowed address is not reached: %v, %d calls", err, calls)
	}
}

func TestSocketsAreNotDialed(t *testing.T) {
	t.Parallel()
	_, err := httpx.Guard{AllowPrivate: true}.Dial(t.Context(), "unix", "/tmp/.s.PGSQL.5432")
	var e *core.Error
	if !errors.As(err, &e) || e.Code != core.Forbidden {
		t.Errorf("got %v", err)
	}
}

func TestTheOperatorsNetworksAndTheSampleAreLetIn(t *testing.T) {
	t.Parallel()
	g := httpx.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, Sample: netip.MustParseAddrPort("127.0.0.1:5999")}
	for address, in := range map[string]bool{"10.1.2.3:5432": true, "10.2.2.3:5432": false, "127.0.0.1:5999": true, "127.0.0.1:5998": false, "169.254.169.254:80": false} {
		if err := g.Check(netip.MustParseAddrPort(address)); (err == nil) != in {
			t.Errorf("%s: %v", address, err)
		}
	}
}
