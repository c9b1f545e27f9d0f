package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// reader fills a batch's proposals from a connection of its own, so that reading and writing go on at the same time.
type reader func(ctx context.Context, tx pgx.Tx, emit func(newSuggestion) error) error

const (
	besidePage  = 500       // proposals that are handed over together
	besideBytes = 256 << 10 // or fewer, when they are long
)

// beside gives what a reader emits on another connection. The table of the batch is locked by then, so that both see the same
// rows. The batch is one of inBatchBeside.
func (s *Store) beside(ctx context.Context, by core.Actor, read reader) proposals {
	return func(yield func(newSuggestion, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		pages, ended := make(chan []newSuggestion, 4), make(chan error, 1)
		go func() {
			defer close(pages)
			ended <- s.readBeside(ctx, by, read, pages)
		}()
		for page := range pages {
			for _, n := range page {
				if !yield(n, nil) {
					cancel()
					for range pages { // until the reader has stopped
					}
					return
				}
			}
		}
		if err := <-ended; err != nil {
			yield(newSuggestion{}, err)
		}
	}
}

func (s *Store) readBeside(ctx context.Context, by core.Actor, read reader, pages chan<- []newSuggestion) error {
	var page []newSuggestion
	bytes := 0
	send := func() error {
		select {
		case pages <- page:
			page, bytes = nil, 0
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return fmt.Errorf("begin beside: %w", err)
	}
	defer func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = tx.Rollback(clean) // it only reads
	}()
	err = read(ctx, tx, func(n newSuggestion) error {
		page = append(page, n)
		if bytes += len(n.before) + len(n.after); len(page) < besidePage && bytes < besideBytes {
			return nil
		}
		return send()
	})
	if err == nil && len(page) > 0 {
		err = send()
	}
	return err
}

// inBatchBeside is inBatch for what reads beside. Such commands hold at most half of the pool's connections, so that they cannot
// wait for each other's.
func (s *Store) inBatchBeside(ctx context.Context, by core.Actor, ref TableRef, n newBatch, fn func(b *batchTxn) error) (BatchResult, error) {
	select {
	case s.places <- struct{}{}:
		defer func() { <-s.places }()
	case <-ctx.Done():
		return BatchResult{}, core.Wrap(ctx.Err(), core.Unavailable, "This was given up while it waited for its turn. Nothing was changed.")
	}
	return s.inBatch(ctx, by, ref, n, fn)
}
