package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"scratchpaper/internal/core"
	"scratchpaper/internal/csvfile"
)

func TestAnUploadComesBackAsItWasSent(t *testing.T) {
	t.Parallel()
	s := mustStore(t)
	by := core.Local()
	want := make([]byte, 3*chunkSize+12345)
	for i := range want {
		want[i] = byte(rand.Uint32())
	}
	for _, size := range []int{1, chunkSize - 1, chunkSize, chunkSize + 1, len(want)} {
		u, err := s.SaveUpload(t.Context(), by, `C:\Users\me\prices ü.csv`, iotest.HalfReader(bytes.NewReader(want[:size])), 100<<20)
		if err != nil || u.Bytes != int64(size) || u.Name != "prices ü.csv" {
			t.Fatalf("%d bytes: %+v %v", size, u, err)
		}
		r, err := s.OpenUpload(t.Context(), by, u.ID)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, want[:size]) {
			t.Errorf("%d bytes came back as %d: %v", size, len(got), err)
		}
		r.Close()
	}
}

func TestAnUploadThatIsTooLargeEmptyOrBreaksOffIsNotKept(t *testing.T) {
	t.Parallel()
	s := mustStore(t)
	by := core.Local()
	for name, c := range map[string]struct {
		r    io.Reader
		code core.Code
	}{
		"too large":  {bytes.NewReader(make([]byte, 2*chunkSize)), core.TooLarge},
		"empty":      {strings.NewReader(""), core.Invalid},
		"broken off": {io.MultiReader(bytes.NewReader(make([]byte, chunkSize+5)), iotest.ErrReader(errors.New("reset by peer"))), core.Malformed},
		"cut off":    {io.MultiReader(bytes.NewReader(make([]byte, chunkSize+5)), iotest.ErrReader(io.ErrUnexpectedEOF)), core.Malformed}, // as net/http and multipart say it
	} {
		if _, err := s.SaveUpload(t.Context(), by, "a.csv", c.r, chunkSize+10); core.CodeOf(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	viewer := by
	viewer.Role = core.Viewer
	if _, err := s.SaveUpload(t.Context(), viewer, "a.csv", strings.NewReader("x"), 10); core.CodeOf(err) != core.Forbidden {
		t.Errorf("a viewer uploads: %v", err)
	}
	var left int
	err := s.pool.QueryRow(t.Context(), `select (select count(*) from uploads where org_id = $1) + (select count(*) from upload_chunks where org_id = $1)`, core.LocalOrg).Scan(&left)
	if err != nil || left != 0 {
		t.Errorf("%d rows are left: %v", left, err)
	}
}

func TestUploadsOfOthersAreNotSeenAndOldOnesGo(t *testing.T) {
	t.Parallel()
	s := mustStore(t)
	by, other := core.Local(), core.System("org_other")
	u, err := s.SaveUpload(t.Context(), by, "a.csv", strings.NewReader("a\nb\n"), 10)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.OpenUpload(t.Context(), other, u.ID); core.CodeOf(err) != core.NotFound {
		t.Errorf("another organization opens it: %v", err)
	}
	if _, _, err := s.StartImport(t.Context(), other, NewImport{Upload: u.ID}); core.CodeOf(err) != core.NotFound {
		t.Errorf("another organization imports it: %v", err)
	}
	if err := s.DropOldUploads(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := s.UploadByID(t.Context(), by, u.ID); err != nil {
		t.Errorf("a new upload went: %v", err)
	}
	if _, _, err := s.StartImport(t.Context(), by, NewImport{Upload: u.ID, Dialect: csvfile.DefaultDialect(), Columns: []ImportColumn{{Title: "a", Type: core.Text}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.DropOldUploads(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.UploadByID(t.Context(), by, u.ID); err != nil {
		t.Errorf("an upload went that a job is about to read: %v", err)
	}
	if _, err := s.pool.Exec(t.Context(), `update jobs set state = 'cancelled' where org_id = $1`, by.Org); err != nil {
		t.Fatal(err)
	}
	if err := s.DropOldUploads(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.UploadByID(t.Context(), by, u.ID); core.CodeOf(err) != core.NotFound {
		t.Errorf("an old upload is still there: %v", err)
	}
}

// The connection may be cut at the commit of what makes the job. Whoever asked is told of a failure and the file is dropped, while the
// database is still about to commit.
func TestAFileThatAJobIsBeingMadeForIsNotDropped(t *testing.T) {
	t.Parallel()
	s := mustStore(t)
	by := core.Local()
	u, err := s.SaveUpload(t.Context(), by, "a.csv", strings.NewReader("a\nb\n"), 10)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.WithoutCancel(t.Context()))
	args, err := json.Marshal(ImportArgs{Upload: u.ID})
	if err != nil {
		t.Fatal(err)
	}
	job, err := s.EnqueueTx(t.Context(), tx, by, NewJob{Kind: "import", Args: args, Upload: u.ID})
	if err != nil {
		t.Fatal(err)
	}
	dropped := make(chan error, 1)
	go func() { dropped <- s.DropUpload(t.Context(), by, u.ID) }()
	waitForLock(t, s.pool)
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-dropped; err != nil {
		t.Fatal(err)
	}
	if _, err := s.UploadByID(t.Context(), by, u.ID); err != nil {
		t.Errorf("the file of the job went: %v", err)
	}
	if _, err := s.pool.Exec(t.Context(), `update jobs set state = 'cancelled' where org_id = $1 and id = $2`, by.Org, job.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.DropUpload(t.Context(), by, u.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Enqueue(t.Context(), by, NewJob{Kind: "import", Args: args, Upload: u.ID}); core.CodeOf(err) != core.NotFound {
		t.Errorf("a job is made for a file that is gone: %v", err)
	}
}

// waitForLock waits until a statement of the database waits for another's lock.
func waitForLock(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		var waits bool
		if err := pool.QueryRow(t.Context(), `select exists (select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')`).Scan(&waits); err != nil {
			t.Fatal(err)
		}
		if waits {
			return
		}
	}
	t.Fatal("nothing waits for a lock")
}

// TestOnePersonHasAsManyFilesAsTheyMay counts files and bytes that were not imported, of each person by themselves, however many come at once.
func TestOnePersonHasAsManyFilesAsTheyMay(t *testing.T) {
	t.Parallel()
	s := mustStore(t)
	by := core.Local()
	ben := by
	ben.Person = "per_ben"
	s.limits = Limits{Files: 3}
	save := func(by core.Actor, size int) error {
		_, err := s.SaveUpload(t.Context(), by, "a.csv", bytes.NewReader(make([]byte, size)), 3*chunkSize)
		return err
	}
	several := func(size int) (kept int) {
		var at sync.WaitGroup
		var n atomic.Int32
		for range 6 {
			at.Go(func() {
				switch err := save(by, size); core.CodeOf(err) {
				case "":
					n.Add(1)
				case core.Conflict:
					if !strings.Contains(core.SentenceOf(err), "one person may have") {
						t.Errorf("it is refused as %v", err)
					}
				default:
					t.Errorf("a file: %v", err)
				}
			})
		}
		at.Wait()
		return int(n.Load())
	}
	if n := several(10); n != 3 {
		t.Errorf("%d of six files that come at once are kept, want 3", n)
	}
	if err := save(ben, 10); err != nil {
		t.Errorf("another person's file: %v", err)
	}
	if err := s.DropOldUploads(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	s.limits = Limits{FileBytes: 4 * chunkSize}
	if n := several(2 * chunkSize); n == 0 || n > 2 {
		t.Errorf("%d of six files with half of the room each are kept", n)
	}
	if err := s.DropOldUploads(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if err := save(by, 4*chunkSize); core.CodeOf(err) != core.TooLarge {
		t.Errorf("a file larger than one may be: %v", err)
	}
	if err := save(by, 3*chunkSize); err != nil {
		t.Errorf("a file as large as one may be: %v", err)
	}
	if err := save(by, 2*chunkSize); core.CodeOf(err) != core.Conflict || !strings.Contains(core.SentenceOf(err), "with this one") {
		t.Errorf("a file that is more than what is left: %v", err)
	}
	if err := save(by, chunkSize); err != nil {
		t.Errorf("a file that fits: %v", err)
	}
	if err := save(by, 1); core.CodeOf(err) != core.Conflict {
		t.Errorf("a file where nothing is left: %v", err)
	}
}

func TestOfFilesThatComeAtOnceTheOneThatBeganFirstIsKept(t *testing.T) {
	t.Parallel()
	s := mustStore(t)
	s.limits = Limits{FileBytes: 4 * chunkSize}
	begin := func(name string) (*io.PipeWriter, chan error) {
		r, w := io.Pipe()
		ended := make(chan error, 1)
		go func() {
			_, err := s.SaveUpload(t.Context(), core.Local(), name, r, 3*chunkSize)
			ended <- err
		}()
		if _, err := w.Write([]byte("x")); err != nil { // it is read once the upload has begun
			t.Fatal(err)
		}
		return w, ended
	}
	rest := make([]byte, 3*chunkSize-1)
	first, firstEnded := begin("first.csv")
	second, secondEnded := begin("second.csv")
	for _, w := range []*io.PipeWriter{second, first} {
		if _, err := w.Write(rest); err != nil {
			t.Fatal(err)
		}
	}
	first.Close()
	if err := <-firstEnded; err != nil {
		t.Errorf("the file that began first: %v", err)
	}
	second.Close()
	if err := <-secondEnded; core.CodeOf(err) != core.Conflict {
		t.Errorf("the file that began second: %v", err)
	}
}
