package localdb

import (
	"context"
	"time"
)

const (
	// restarts is how often a server that ends by itself is started again within restartsWithin.
	restarts       = 5
	restartsWithin = 10 * time.Minute
)

// Done is closed when the server has ended for good: asked, or because it could not be started again.
func (s *Server) Done() <-chan struct{} { return s.over }

// Err says why the server ended without being asked, and nil while it runs or after Stop.
func (s *Server) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// Stop ends the server and waits for it: politely until ctx is done, then hard; what is committed stays in either
// case. It gives the data folder free. Calling it again gives the first call's answer.
func (s *Server) Stop(ctx context.Context) error {
	s.stopOnce.Do(func() {
		s.mu.Lock()
		s.stopping = true
		p := s.process
		s.mu.Unlock()
		s.giveUp()
		s.stopErr = p.stop(ctx)
		<-s.over
		s.place.dropSocketDir()
		s.lock.release()
	})
	return s.stopErr
}

// supervise starts the server again whenever it ends by itself, until Stop.
func (s *Server) supervise() {
	ctx, cancel := context.WithCancel(context.Background())
	s.giveUp = cancel
	go func() {
		defer close(s.over)
		defer cancel()
		var ends []time.Time
		for {
			<-s.process.done() // only this goroutine replaces it
			if s.isStopping() {
				return
			}
			ends = append(ends, time.Now())
			err := s.process.err()
			if tooMany(ends) {
				s.fail(err)
				return
			}
			s.log.Error("The database ended by itself and is started again.", "data", s.place.cluster(), "error", err)
			if err := s.again(ctx); err != nil {
				s.fail(err)
				return
			}
			s.log.Info("The database runs again.", "data", s.place.cluster())
		}
	}()
}

// tooMany looks at the moments at which a server ended by itself.
func tooMany(ends []time.Time) bool {
	n := len(ends)
	return n > restarts && ends[n-1].Sub(ends[n-1-restarts]) < restartsWithin
}

func (s *Server) isStopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopping
}

// fail keeps why the server is gone, unless it was stopped meanwhile.
func (s *Server) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopping {
		s.failure = err
	}
}

// again starts the server anew where it was: same socket, same port, so that what is known of it stays true.
func (s *Server) again(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := s.waitUnused(ctx); err != nil {
		return err
	}
	if err := s.place.ownedDir(s.place.socketDir); err != nil {
		return unavailable(err, "The database needs the folder %s for its socket and cannot use it. Remove it and start again.", s.place.socketDir)
	}
	s.place.clearSockets()
	p, err := s.launch(ctx, func() (int, error) { return s.port, nil })
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.process = p
	stopping := s.stopping
	s.mu.Unlock()
	if stopping {
		p.kill()
	}
	return nil
}

// waitUnused waits until what is left of the server, its helpers, has ended too.
func (s *Server) waitUnused(ctx context.Context) error {
	left, err := previous(ctx, s.place, s.password)
	if err == nil && left != nil {
		err = unavailable(nil, "Somebody else has started the database in %s. End process %d and start again.", s.place.cluster(), left.pid)
	}
	return err
}
