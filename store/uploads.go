package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// Upload is a file that somebody sent, kept in pieces so that any process can read it.
type Upload struct {
	ID        string
	Name      string
	Bytes     int64
	Options   json.RawMessage // how it is to be read, as chosen on the preview
	CreatedAt time.Time
}

// chunkSize is how much of a file one row holds.
const chunkSize = 1 << 20

// SaveUpload keeps a file as it streams in; memory does not grow with it. Codes: Forbidden, Invalid (an
// empty file), TooLarge (more than limit bytes), Malformed (it broke off), Conflict (the person has enough files). What is not whole is not kept.
func (s *Store) SaveUpload(ctx context.Context, by core.Actor, name string, r io.Reader, limit int64) (Upload, error) {
	if err := by.Require(core.Editor); err != nil {
		return Upload{}, err
	}
	u, most := Upload{ID: core.NewID("upl"), Name: fileName(name)}, limit
	err := s.tx(ctx, by, func(tx pgx.Tx) (err error) {
		if most, err = s.fileRoomTx(ctx, tx, by, "", limit); err != nil {
			return err
		}
		if _, err = tx.Exec(ctx, `insert into uploads (id, org_id, person_id, name) values ($1, $2, $3, $4)`, u.ID, by.Org, by.Person, u.Name); err != nil {
			return fmt.Errorf("insert upload: %w", err)
		}
		return nil
	})
	if err != nil {
		return Upload{}, err
	}
	err = s.saveChunks(ctx, by, &u, r, most)
	switch {
	case core.CodeOf(err) == core.TooLarge && most != limit:
		err = fullOfFiles(s.limits.FileBytes)
	case err == nil && u.Bytes == 0:
		err = core.FieldErrorf("/file", "The file %s is empty.", u.Name)
	}
	if err == nil {
		err = s.keepUpload(ctx, by, u)
	}
	if err != nil {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		_ = s.DeleteUpload(clean, by, u.ID)
		return Upload{}, mapError(err)
	}
	return u, nil
}

// keepUpload says that a file is whole, unless others of its person came meanwhile and there is no room for it any more. Codes: Conflict.
func (s *Store) keepUpload(ctx context.Context, by core.Actor, u Upload) error {
	return s.tx(ctx, by, func(tx pgx.Tx) error {
		left, err := s.fileRoomTx(ctx, tx, by, u.ID, 0)
		if err != nil {
			return err
		}
		if left > 0 && u.Bytes > left {
			return fullOfFiles(s.limits.FileBytes)
		}
		_, err = tx.Exec(ctx, `update uploads set bytes = $3, complete = true where org_id = $1 and id = $2`, by.Org, u.ID, u.Bytes)
		return err
	})
}

// fileName gives the last part of a name, whichever system it comes from; of a long one the end.
func fileName(name string) string {
	name = path.Base(strings.ReplaceAll(storable(name), "\\", "/"))
	if name == "." || name == "/" {
		return "file"
	}
	for len(name) > 150 {
		_, size := utf8.DecodeRuneInString(name)
		name = name[size:]
	}
	return name
}

// saveChunks saves a chunk while the next one is read.
func (s *Store) saveChunks(ctx context.Context, by core.Actor, u *Upload, r io.Reader, limit int64) (err error) {
	chunk, next := make([]byte, chunkSize), make([]byte, chunkSize)
	saved := make(chan error, 1)
	saved <- nil
	defer func() { // nothing is written once it has returned
		if serr := <-saved; err == nil {
			err = serr
		}
	}()
	for number := 0; ; number++ {
		n, rerr := fill(r, chunk)
		if n > 0 {
			if u.Bytes += int64(n); limit > 0 && u.Bytes > limit {
				return core.Errorf(core.TooLarge, "The file is larger than the %d MB that are taken here.", limit>>20)
			}
			if err := <-saved; err != nil {
				saved <- nil
				return err
			}
			go func(data []byte) {
				_, err := s.pool.Exec(ctx, `insert into upload_chunks (org_id, upload_id, number, data) values ($1, $2, $3, $4)`, by.Org, u.ID, number, data)
				if err != nil {
					err = fmt.Errorf("save chunk: %w", err)
				}
				saved <- err
			}(chunk[:n])
			chunk, next = next, chunk
		}
		switch {
		case errors.Is(rerr, io.EOF):
			return nil
		case rerr != nil:
			return core.Wrap(rerr, core.Malformed, "The file did not arrive whole. Send it again.")
		}
	}
}

// fill reads until the chunk is full or the file ends, which io.EOF says. Unlike io.ReadFull it tells the end of a file from a
// connection that was cut: there the reader itself gives io.ErrUnexpectedEOF.
func fill(r io.Reader, chunk []byte) (n int, err error) {
	for n < len(chunk) && err == nil {
		var more int
		more, err = r.Read(chunk[n:])
		n += more
	}
	return n, err
}

// UploadByID gives a whole upload. Codes: NotFound.
func (s *Store) UploadByID(ctx context.Context, by core.Actor, id string) (Upload, error) {
	u := Upload{ID: id}
	err := s.pool.QueryRow(ctx, `select name, bytes, options, created_at from uploads where org_id = $1 and id = $2 and complete`, by.Org, id).
		Scan(&u.Name, &u.Bytes, (*[]byte)(&u.Options), &u.CreatedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return Upload{}, goneUpload(err)
	}
	return u, mapError(err)
}

// DeleteUpload forgets a file.
func (s *Store) DeleteUpload(ctx context.Context, by core.Actor, id string) error {
	_, err := s.pool.Exec(ctx, `delete from uploads where org_id = $1 and id = $2`, by.Org, id)
	return err
}

// holdUpload keeps a file from being dropped until the transaction, which makes a job that reads it, has ended. Codes: NotFound.
func holdUpload(ctx context.Context, tx pgx.Tx, by core.Actor, id string) error {
	err := tx.QueryRow(ctx, `select id from uploads where org_id = $1 and id = $2 and complete for key share`, by.Org, id).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return goneUpload(err)
	}
	return mapError(err)
}

// unread says over u that no open job reads a file.
const unread = `not exists (select 1 from jobs j where j.org_id = u.org_id and j.kind = 'import' and j.state in ('queued', 'running', 'waiting')
	and j.args ->> 'upload' = u.id)`

// DropUpload forgets a file that was to be imported, unless a job reads it after all: where the connection was cut at the commit, the job is
// there although whoever started it was told of a failure. It waits for a transaction that is making such a job.
func (s *Store) DropUpload(ctx context.Context, by core.Actor, id string) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		// The deletion looks at the jobs after the wait, not as they were before it.
		if _, err := tx.Exec(ctx, `select from uploads where org_id = $1 and id = $2 for update`, by.Org, id); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `delete from uploads u where u.org_id = $1 and u.id = $2 and `+unread, by.Org, id)
		return err
	})
	return mapError(err)
}

// DropOldUploads forgets uploads older than age that no open job reads.
func (s *Store) DropOldUploads(ctx context.Context, age time.Duration) error {
	_, err := s.pool.Exec(ctx, `/* every organization: it is the program's own housekeeping */
		delete from uploads u where u.created_at < now() - $1::interval and `+unread, age)
	return mapError(err)
}

// OpenUpload reads a whole upload from its start, a chunk at a time. Codes: NotFound.
func (s *Store) OpenUpload(ctx context.Context, by core.Actor, id string) (io.ReadCloser, error) {
	u, err := s.UploadByID(ctx, by, id)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(&uploadReader{s: s, ctx: ctx, org: by.Org, id: id, left: u.Bytes}), nil
}

// uploadReader keeps its context, since io.Reader takes none.
type uploadReader struct {
	s       *Store
	ctx     context.Context
	org, id string
	number  int
	chunk   bytes.Reader
	left    int64 // bytes behind the chunk: a file that goes away while it is read must not look like a shorter one
}

// Read gives the next bytes. Codes: NotFound (the upload was deleted meanwhile).
func (r *uploadReader) Read(p []byte) (int, error) {
	for r.chunk.Len() == 0 {
		if r.left == 0 {
			return 0, io.EOF
		}
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	return r.chunk.Read(p)
}

func (r *uploadReader) next() error {
	var data []byte
	err := r.s.pool.QueryRow(r.ctx, `select data from upload_chunks where org_id = $1 and upload_id = $2 and number = $3`, r.org, r.id, r.number).Scan(&data)
	if errors.Is(err, pgx.ErrNoRows) {
		return goneUpload(err)
	}
	if err != nil {
		return mapError(fmt.Errorf("read upload: %w", err))
	}
	if r.left -= int64(len(data)); r.left < 0 || len(data) == 0 {
		return fmt.Errorf("upload %s: chunk %d is not what was saved", r.id, r.number)
	}
	r.number++
	r.chunk.Reset(data)
	return nil
}

func goneUpload(err error) error {
	return core.Wrap(err, core.NotFound, "This file is not here any more: it was imported, or is older than a day. Choose it again.")
}
