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

// TestNoTwoProcessesAreGivenTheSamePort is seen by the claim alone: nobody listens on the port yet.
func TestNoTwoProcessesAreGivenTheSamePort(t *testing.T) {
	t.Parallel()
	port := Take(t)
	if c, err := net.ListenPacket("udp", Address(port)); err == nil {
		c.Close()
		t.Errorf("another process can claim %d too", port)
	}
	if l, err := net.Listen("tcp", Address(port)); err != nil {
		t.Errorf("who was given %d cannot listen on it: %v", port, err)
	} else {
		l.Close()
	}
}
