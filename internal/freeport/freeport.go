// Package freeport gives tests ports that stay free until they are listened on, also a second time.
//
// A port that the system chose and that is closed again goes to whoever asks next, and each outgoing connection asks: a server that is to
// come back at its port then finds it taken, and a client that tries to reach it may even be connected with itself.
package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
)

// The ports are those below the ones that systems choose from: Linux begins at 32768 (ip_local_port_range), others at 49152 (RFC 6335).
const first, end = 12000, 32000

// claims are the UDP sockets of the ports that were given. Packages are tested side by side: while a process holds the UDP port of a number, no
// other one is given the TCP port, not even between the look whether it is free and the server that listens on it.
var claims sync.Map

// Take gives a port of the loopback address that nobody listens on. As long as this process lives, nobody else is given it.
func Take(t testing.TB) int {
	t.Helper()
	port, err := Find()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// Find is Take where there is no test yet.
func Find() (int, error) {
	for range 1000 {
		port := first + rand.IntN(end-first) // #nosec G404 -- tests only
		claim, err := net.ListenPacket("udp", Address(port))
		if err != nil {
			continue
		}
		// Asked by calling, not by listening: a child that is just being started would hold the socket for a moment longer.
		if c, err := net.Dial("tcp", Address(port)); err == nil {
			_, _ = c.Close(), claim.Close()
			continue
		}
		claims.Store(port, claim)
		return port, nil
	}
	return 0, fmt.Errorf("there is no free port from %d to %d", first, end)
}

// Address is that of a port of the loopback address.
func Address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
