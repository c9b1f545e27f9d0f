package handlers

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestAnExportGivesTheWholeViewInItsOrder(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 3000)
	body := s.get(t, "/api/v1"+s.path+"/export?filter=price+%3E+20&sort=-price", "Accept", "text/csv").body
	lines := strings.Split(strings.TrimSuffix(body, "\r\n"), "\r\n")
	if len(lines) != 2999 || lines[0] != "title,price" || lines[1] != "Boats 3000,30000" || lines[2998] != "Boats 3,30" {
		t.Errorf("the file has %d lines, the first and last are %q", len(lines), []string{lines[0], lines[1], lines[len(lines)-1]})
	}
	s.get(t, "/api/v1"+s.path+"/export?filter=nothing", "Accept", "application/json").is(t, 422, "nothing")
	if a := s.get(t, "/api/v1"+s.path+"/export?filter=nothing", "Accept", "application/json"); a.header.Get("Content-Disposition") != "" {
		t.Error("a refusal is to be saved as a file")
	}
}

// A file that ends early must not look like a whole one.
func TestAnExportThatFailsOnItsWayIsBrokenOff(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 20000)
	data, hidden := pgx.Identifier{s.snapshot.ID, s.table.Physical}.Sanitize(), pgx.Identifier{s.snapshot.ID, "hidden"}.Sanitize()
	title := pgx.Identifier{s.table.Columns[0].Physical}.Sanitize()
	for _, sql := range []string{"alter table " + data + ` rename to "hidden"`,
		"create view " + data + " as select _id, _state, " + title + ", (price / (_id - 19000))::numeric as " + pgx.Identifier{s.table.Columns[1].Physical}.Sanitize() +
			" from (select *, " + pgx.Identifier{s.table.Columns[1].Physical}.Sanitize() + " as price from " + hidden + ") h",
		"do $$ begin execute format('alter database %I set enable_sort = off', current_database()); end $$"} { // or it fails before the first record
		if _, err := s.store.Pool().Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	s.store.Pool().Reset()
	res, err := s.Client().Get(s.URL + "/api/v1" + s.path + "/export")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err == nil || res.StatusCode != http.StatusOK || len(got) == 0 {
		t.Errorf("the export answers %d and ends after %d bytes with %v", res.StatusCode, len(got), err)
	}
}

// slow takes what it is given only when it may.
type slow struct {
	bytes.Buffer
	may chan struct{}
}

func (s *slow) Write(p []byte) (int, error) {
	<-s.may
	return s.Buffer.Write(p)
}

func TestASpoolNeverWaitsForItsReaderAndKeepsTheOrder(t *testing.T) {
	t.Parallel()
	sp := newSpool()
	defer sp.close()
	to := &slow{may: make(chan struct{})}
	read := make(chan error)
	go func() { read <- sp.copyTo(to, func() {}) }()
	random := rand.New(rand.NewPCG(1, 2))
	var want bytes.Buffer
	write := func(bytes int) {
		for end := want.Len() + bytes; want.Len() < end; {
			p := make([]byte, 1+random.IntN(200_000))
			for i := range p {
				p[i] = byte(random.Uint32())
			}
			want.Write(p)
			if _, err := sp.Write(p); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(2 * spoolMemory) // nobody reads yet
	if sp.size > spoolMemory || sp.file == nil {
		t.Errorf("%d bytes are in memory, and in a file: %t", sp.size, sp.file != nil)
	}
	for range 100 { // it catches up, while more comes
		to.may <- struct{}{}
		write(1000)
	}
	close(to.may)
	write(3 * spoolMemory)
	broken := errors.New("broken")
	sp.end(broken)
	if err := <-read; err != broken || !bytes.Equal(to.Bytes(), want.Bytes()) {
		t.Errorf("%d of %d bytes came, equal: %t: %v", to.Len(), want.Len(), bytes.Equal(to.Bytes(), want.Bytes()), err)
	}
}
