package localdb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"scratchpaper/internal/core"
)

const (
	// launchTries bounds how often another port is chosen, or left-over shared memory waited for.
	launchTries = 20
	// patience is the time between two log lines about a server that is still recovering.
	patience = 10 * time.Second
)

// errTryAgain marks an early end that another try, on another port, may not meet.
var errTryAgain = errors.New("try again")

// launch starts the child at a port that the function gives, and again when that is taken or memory is left over.
func (s *Server) launch(ctx context.Context, port func() (int, error)) (process, error) {
	var err error
	for range launchTries {
		var n int
		if n, err = port(); err != nil {
			return nil, unavailable(err, "There is no free port on %s for the database.", loopback)
		}
		var p process
		if p, err = s.launchAt(ctx, n); err == nil || !errors.Is(err, errTryAgain) {
			return p, err
		}
		if sleep(ctx, 10*pollEvery) != nil {
			break
		}
	}
	return nil, cutShort(ctx, err, "%s", core.SentenceOf(err))
}

func (s *Server) launchAt(ctx context.Context, port int) (process, error) {
	if s.port != port { // others read it while a server is started again
		s.port = port
	}
	cmd := exec.Command(filepath.Join(s.bin, "postgres"), "-D", s.place.cluster(), "-p", strconv.Itoa(port), "-h", loopback, "-k", s.place.socketDir) // #nosec G204 -- a program of the built-in PostgreSQL, without a shell and with nothing from a request
	prepare(cmd, s.place.owner)
	c, err := startChild(cmd, s.log)
	if err != nil {
		return nil, unavailable(err, "PostgreSQL in %s cannot be run.", s.bin)
	}
	return c, s.waitReady(ctx, c)
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
	err := unavailable(cause, "The database in %s does not start. Its own words: %s", s.place.cluster(), lastFatal(words))
	if wasKilled(c.exit) {
		return fmt.Errorf("%w: %w", errTryAgain, err)
	}
	for _, passing := range []string{"could not create any TCP/IP sockets", "Address already in use", "pre-existing shared memory block"} {
		if strings.Contains(words, passing) {
			return fmt.Errorf("%w: %w", errTryAgain, err)
		}
	}
	return err
}

// wasKilled says whether a process ended by somebody's signal and not by its own will.
func wasKilled(exit error) bool {
	var e *exec.ExitError
	if !errors.As(exit, &e) {
		return false
	}
	status, ok := e.Sys().(syscall.WaitStatus)
	return ok && status.Signaled()
}

// lastFatal gives the line that says why, or the last one.
func lastFatal(words string) string {
	lines := strings.Split(strings.TrimSpace(words), "\n")
	for _, line := range slices.Backward(lines) {
		if strings.Contains(line, "FATAL") || strings.Contains(line, "PANIC") {
			return line
		}
	}
	return strings.Join(lines[max(0, len(lines)-3):], " ")
}
