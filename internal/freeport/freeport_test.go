package freeport

import (
	"net"
	"testing"
)

func TestPortsAreGivenOnceAndAreNotThoseThatTheSystemChooses(t *testing.T) {
	t.Parallel()
	given := map[int]bool{}
	for range 200 {
		port := Take(t)
		if given[port] || port >= 32768 {
			t.Fatalf("port %d; given before: %v", port, given[port])
		}
		given[port] = true
	}
}

func TestAPortThatIsListenedOnIsNotGiven(t *testing.T) {
	t.Parallel()
	var all []net.Listener
	for range 100 {
		l, err := net.Listen("tcp", Address(Take(t)))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	for _, l := range all {
		l.Close()
	}
}
