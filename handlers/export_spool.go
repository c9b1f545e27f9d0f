package handlers

import (
	"io"
	"os"
	"sync"
)

// spoolMemory is how much of what a client has not taken yet waits in memory, in bytes; more goes into a file.
const spoolMemory = 8 << 20

// spool is what one goroutine has written and another has not read yet. Writing never waits for the reader. It keeps the order: once
// something is in the file, all that comes goes there until the reader has caught up.
type spool struct {
	ended chan struct{} // closed by its owner when nobody writes any more

	mu     sync.Mutex
	more   *sync.Cond
	blocks [][]byte // older than what is in the file
	size   int      // of the blocks, in bytes
	file   *os.File // nil until there is too much for memory
	from   int64    // of the file, what is not read yet
	to     int64
	over   bool
	err    error // how the writing ended
}

func newSpool() *spool {
	s := &spool{ended: make(chan struct{})}
	s.more = sync.NewCond(&s.mu)
	return s
}

// Write keeps a copy of p. Errors are those of the file.
func (s *spool) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.from == s.to && s.size+len(p) <= spoolMemory {
		s.blocks, s.size = append(s.blocks, append([]byte(nil), p...)), s.size+len(p)
		s.more.Signal()
		return len(p), nil
	}
	if s.file == nil {
		f, err := os.CreateTemp("", "scratchpaper-export-")
		if err != nil {
			return 0, err
		}
		_ = os.Remove(f.Name()) // its room is free when it is closed, also after a crash
		s.file = f
	}
	n, err := s.file.WriteAt(p, s.to)
	s.to += int64(n)
	s.more.Signal()
	return n, err
}

// end says that all has been written, or why not.
func (s *spool) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over, s.err = true, err
	s.more.Signal()
}

// close drops what is left. Nobody may write or read any more.
func (s *spool) close() {
	if s.file != nil {
		_ = s.file.Close()
	}
}

// copyTo hands everything to w as it comes, and flushes when there is nothing more for now. It gives the writer's error.
func (s *spool) copyTo(w io.Writer, flush func()) error {
	for buf := []byte(nil); ; {
		block, idle, err := s.next(&buf)
		if err != nil || block == nil {
			return err
		}
		if _, err := w.Write(block); err != nil {
			return err
		}
		if idle {
			flush()
		}
	}
}

// next waits for the next block; nil is the end. idle says that there is nothing behind it yet.
func (s *spool) next(buf *[]byte) (block []byte, idle bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.blocks) == 0 && s.from == s.to && !s.over {
		s.more.Wait()
	}
	switch {
	case len(s.blocks) > 0:
		block, s.blocks = s.blocks[0], s.blocks[1:]
		s.size -= len(block)
	case s.from < s.to:
		if *buf == nil {
			*buf = make([]byte, 64<<10)
		}
		n, err := s.file.ReadAt((*buf)[:min(int64(len(*buf)), s.to-s.from)], s.from)
		if err != nil && n == 0 {
			return nil, false, err
		}
		if block, s.from = (*buf)[:n], s.from+int64(n); s.from == s.to {
			s.from, s.to = 0, 0
		}
	default:
		return nil, true, s.err
	}
	return block, len(s.blocks) == 0 && s.from == s.to, nil
}
