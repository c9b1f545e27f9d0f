package localdb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	// launchTries bounds how often another port is chosen, or left-over shared memory waited for.
	launchTries = 20
	// patience is the time between two log lines about a server that is still recovering.
	patience = 10 * time.Second
)

// errTryAgain marks an early end that another try, on another port, may not meet.
var errTryAgain = errors.New("try again")

func (s *Server) launch(ctx context.Context, o Options, bin string) error {
	var err error
	for range launchTries {
		if err = s.launchOnce(ctx, o, bin); !errors.Is(err, errTryAgain) {
			return err
		}
		if sleep(ctx, 10*pollEvery) != nil {
			break
		}
	}
	return cutShort(ctx, err, "The database in %s does not start.", s.place.cluster())
}

func (s *Server) launchOnce(ctx context.Context, o Options, bin string) error {
	port, err := freePort()
	if err != nil {
		return unavailable(err, "There is no free port on %s for the database.", loopback)
	}
	s.port = port
	cmd := exec.Command(filepath.Join(bin, "postgres"), "-D", s.place.cluster(), "-p", strconv.Itoa(port), "-h", loopback, "-k", s.place.socketDir)
	prepare(cmd, s.place.owner)
	c, err := startChild(cmd, o.Log)
	if err != nil {
		return unavailable(err, "PostgreSQL in %s cannot be run.", bin)
	}
	s.process = c
	return s.waitReady(ctx, c)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// waitReady waits for our own child, not just for somebody on the port.
func (s *Server) waitReady(ctx context.Context, c *child) error {
	said := time.Now()
	for {
		select {
		case <-c.ended:
			return s.earlyEnd(c)
		default:
		}
		err := s.ping(ctx)
		if err == nil {
			return nil
		}
		if hopeless(err) {
			c.kill()
			return s.refusal(err)
		}
		if time.Since(said) > patience {
			said = time.Now()
			s.log.Info("The database is still recovering from a crash.", "data", s.place.cluster())
		}
		if sleep(ctx, pollEvery) != nil {
			c.kill()
			return cutShort(ctx, err, "The database in %s was not ready in time.", s.place.cluster())
		}
	}
}

func (s *Server) refusal(err error) error {
	if wrongPassword(err) {
		return unavailable(err, "The database in %s refuses the password kept in %s. Restore the right file.", s.place.cluster(), s.place.path("postgres-password"))
	}
	return unavailable(err, "The database in %s runs but takes no connection: %v. Unset the PG* variables of the environment if there are any.", s.place.cluster(), err)
}

func (s *Server) earlyEnd(c *child) error {
	words := c.words.String()
	cause := fmt.Errorf("%v: %s", c.exit, words)
	for _, passing := range []string{"could not create any TCP/IP sockets", "Address already in use", "pre-existing shared memory block"} {
		if strings.Contains(words, passing) {
			return fmt.Errorf("%w: %w", errTryAgain, cause)
		}
	}
	return unavailable(cause, "The database in %s does not start. Its own words: %s", s.place.cluster(), lastFatal(words))
}

func lastFatal(words string) string {
	last := "none"
	for line := range strings.SplitSeq(words, "\n") {
		if strings.Contains(line, "FATAL") || strings.Contains(line, "PANIC") || last == "none" && line != "" {
			last = line
		}
	}
	return last
}
