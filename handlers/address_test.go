package handlers

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

func TestOnlyAProxyOfOursSaysWhereARequestComesFrom(t *testing.T) {
	t.Parallel()
	ours := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32")}
	for _, c := range []struct {
		proxies             []netip.Prefix
		from, forwarded, is string
	}{
		{nil, "203.0.113.9:1", "", "203.0.113.9"},
		{nil, "203.0.113.9:1", "198.51.100.1", "203.0.113.9"},
		{nil, "127.0.0.1:1", "198.51.100.1", "127.0.0.1"},
		{ours, "10.1.2.3:1", "198.51.100.1", "198.51.100.1"},
		{ours, "10.1.2.3:1", "198.51.100.9, 198.51.100.1", "198.51.100.1"},
		{ours, "10.1.2.3:1", "198.51.100.1, 192.0.2.1", "198.51.100.1"},
		{ours, "203.0.113.9:1", "198.51.100.1", "203.0.113.9"},
		{ours, "127.0.0.1:1", "198.51.100.1", "127.0.0.1"},
		{ours, "192.168.1.1:1", "198.51.100.1", "192.168.1.1"},
		{ours, "10.1.2.3:1", "", "10.1.2.3"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = c.from
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if got := addressOf(c.proxies)(r); got != c.is {
			t.Errorf("from %s, forwarded for %q, with %v: %s, want %s", c.from, c.forwarded, c.proxies, got, c.is)
		}
	}
}
