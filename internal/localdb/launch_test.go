package localdb

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
)

// TestATakenPortIsLeftForAnother starts the child at a port that somebody else has.
func TestATakenPortIsLeftForAnother(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("/tmp", "localdb-test-")
	if err := errors.Join(err, os.Chmod(dir, 0o711)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s, err := Start(t.Context(), Options{DataDir: dir, Log: discard(), Fast: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if s.place.socketDir, err = s.place.makeSocketDir(); err != nil {
		t.Fatal(err)
	}
	asked, port := 0, taken.Addr().(*net.TCPAddr).Port
	p, err := s.launch(t.Context(), func() (int, error) {
		if asked++; asked == 1 {
			return port, nil
		}
		return freePort()
	})
	if err != nil {
		t.Fatal(err)
	}
	if asked != 2 || s.port == port {
		t.Errorf("asked %d times for a port, runs at %d, taken is %d", asked, s.port, port)
	}
	if err := p.stop(context.Background()); err != nil {
		t.Error(err)
	}
}
