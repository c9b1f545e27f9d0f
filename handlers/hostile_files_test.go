package handlers

import (
	"bufio"
	"encoding/binary"
	"encoding/csv"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf16"

	"golang.org/x/net/html"
)

// filled gives the fields of a page's form as a browser would send them.
func filled(t *testing.T, page, action string) url.Values {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	attr := func(n *html.Node, name string) (string, bool) {
		for _, a := range n.Attr {
			if a.Key == name {
				return a.Val, true
			}
		}
		return "", false
	}
	out := url.Values{}
	for n := range root.Descendants() {
		name, _ := attr(n, "name")
		if a, _ := attr(n, "action"); n.Data == "form" && a == action {
			out = url.Values{} // what stands before it belongs to others
		}
		value, _ := attr(n, "value")
		switch typ, _ := attr(n, "type"); {
		case name == "" || n.Type != html.ElementNode:
		case n.Data == "select":
			for o := range n.Descendants() {
				if _, selected := attr(o, "selected"); o.Data == "option" && (selected || !out.Has(name)) {
					v, _ := attr(o, "value")
					out.Set(name, v)
				}
			}
		case n.Data == "input" && typ == "checkbox":
			if _, checked := attr(n, "checked"); checked {
				out.Add(name, value)
			}
		case n.Data == "input":
			out.Set(name, value)
		}
	}
	return out
}

// importAsAPerson sends a file from the page, looks at the preview, presses Import there and waits. over are other
// choices, as pairs. It gives what was said on the way when it went no further, else the new snapshot.
func (s *site) importAsAPerson(t *testing.T, name, content string, over ...string) (snapshot string, said answer) {
	t.Helper()
	a := s.upload(t, name, content)
	at := a.header.Get("Location")
	if a.status != http.StatusSeeOther {
		return "", a
	}
	page := s.get(t, at)
	if page.status != http.StatusOK {
		return "", page
	}
	fields := filled(t, page.body, at)
	for i := 0; i+1 < len(over); i += 2 {
		fields.Set(over[i], over[i+1])
	}
	started := s.post(t, at, fields)
	id, ok := strings.CutPrefix(started.header.Get("Location"), "/snapshots/")
	if !ok {
		return "", started
	}
	s.ended(t, time.Minute, "/jobs?snapshot="+id, "items", 0)
	return id, page
}

// exportOf reads the only table of a snapshot back, as text.
func (s *site) exportOf(t *testing.T, snapshot string) [][]string {
	t.Helper()
	table := field(s.call(t, "GET", "/snapshots/"+snapshot+"/tables", "", 200), "items", 0, "id").(string)
	a := s.api(t, "", "GET", "/snapshots/"+snapshot+"/tables/"+table+"/export?format=csv&plain=true", "")
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(a.body, "\ufeff"))).ReadAll()
	if err != nil || a.status != http.StatusOK {
		t.Fatalf("the export: %d %v", a.status, err)
	}
	return rows
}

func utf16File(order binary.ByteOrder, text string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune("\ufeff" + text)) {
		_ = binary.Write(&b, order, u)
	}
	return b.String()
}

// TestHostileFilesAreImportedAsTheyAreOrRefused takes files as people have them through the pages of an import.
func TestHostileFilesAreImportedAsTheyAreOrRefused(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	s.mustWork(t)
	big := strings.Repeat("x,\"", 500_000)
	for _, c := range []struct {
		name, content string
		want          string // rows of values, or what the refusal says
		refused       bool
		note          string // that the preview has
		over          []string
	}{
		{name: "ragged.csv", content: "a,b,c\n1,2\n3,4,5,6\n7,8,9\n", want: "a|b|c\n1|2|\n7|8|9", note: "more values than there are columns and is left out"},
		{name: "mark.csv", content: "\ufeffname,price\nÄ,1\n", want: "name|price\nÄ|1"},
		{name: "utf16le.csv", content: utf16File(binary.LittleEndian, "name,what\r\nGröße 😀,x\r\n"), want: "name|what\nGröße 😀|x"},
		{name: "utf16be.tsv", content: utf16File(binary.BigEndian, "name\twhat\r\nGröße 😀\tx\r\n"), want: "name|what\nGröße 😀|x"},
		{name: "windows.csv", content: "name;preis\r\nGr\xf6\xdfe;\x80 5\r\n\x84x\x93;z\r\n", want: "name|preis\nGröße|€ 5\n„x“|z"},
		{name: "mac.csv", content: "a,b\r1,x\r2,y\r", want: "a|b\n1|x\n2|y"},
		{name: "open.csv", content: "a,b\n1,\"open\n2,3\n", want: "a|b\n1|\"open\n2|3"},
		{name: "open among others.csv", content: "a,b\n\"x, y\",\"1\"\n\"z\",\"2\"\n1,\"open\n2,3\n", refused: true, want: "The quote that opens in line 4 is never closed."},
		{name: "empty.csv", content: "", refused: true, want: "empty"},
		{name: "lines.csv", content: "\n\n\n", refused: true, want: "no table"},
		{name: "onlymark.csv", content: "\ufeff", refused: true, want: "no table"},
		{name: "head.csv", content: "a,b\n", want: "a|b"},
		{name: "nul.csv", content: "a,b\nx\x00y,\xff\n1,2\n", want: "a|b\nx\ufffdy|ÿ\n1|2"},
		{name: "same.csv", content: "a,a,A!,\"it's \"\"x\"\"; drop table y; --\",😀,select\n1,2,3,4,5,6\n", want: "a|a 2|A!|it's \"x\"; drop table y; --|😀|select\n1|2|3|4|5|6", over: []string{"header", "yes"}},
		{name: "formula.csv", content: "a,b\n'=1+1,=2+2\n", want: "a|b\n=1+1|=2+2"},
		{name: "cell.csv", content: "a,b\n1,\"" + strings.ReplaceAll(big, `"`, `""`) + "\"\n", want: "a|b\n1|" + big},
		{name: "wide.csv", content: strings.Repeat("c,", 5000) + "c\n", refused: true, want: "a table takes at most 500"},
		{name: "html.csv", content: "<html><body><table><tr><td>1</td></tr></table></body></html>", want: ""},
		{name: "sheet.xlsx", content: "PK\x03\x04", refused: true, want: "save the sheet as CSV"},
	} {
		t.Run(c.name, func(t *testing.T) {
			id, said := s.importAsAPerson(t, c.name, c.content, c.over...)
			if (id == "") != c.refused || said.status >= 500 {
				t.Fatalf("answered %d: %s", said.status, short(plainWords(said.body)))
			}
			if c.refused {
				if said.status != http.StatusUnprocessableEntity || !strings.Contains(said.body, c.want) {
					t.Errorf("refused with %d, without %q: %s", said.status, c.want, said.body)
				}
				return
			}
			if !strings.Contains(said.body, c.note) {
				t.Errorf("the preview does not say %q", c.note)
			}
			var lines []string
			for _, row := range s.exportOf(t, id) {
				lines = append(lines, strings.Join(row, "|"))
			}
			if got := strings.Join(lines, "\n"); c.want != "" && got != c.want {
				t.Errorf("%s", diffOf(got, c.want))
			} else if c.want == "" {
				t.Logf("it became %q", short(got))
			}
		})
	}
}

// fileOf writes a CSV of about so many bytes and gives the number of its records. It is never in memory.
func fileOf(w io.Writer, size int64) (records int64, err error) {
	out := bufio.NewWriterSize(w, 1<<16)
	written, n := int64(0), 0
	_, err = fmt.Fprint(out, "id,title,price,note\n")
	for ; err == nil && written < size; records++ {
		n, err = fmt.Fprintf(out, "%d,\"Kettle, no. %d\",%d.50,%q\n", records, records, records%1000, strings.Repeat("some words ", 1+int(records%40)))
		written += int64(n)
	}
	if err != nil {
		return records, err
	}
	return records, out.Flush()
}

// TestAFileOfAnySizeIsImportedInBoundedMemory sends a file as it is made: 12 MB, or as many bytes as IMPORT_BYTES says
// (2147483648 is what a large one has), and measures what the app holds meanwhile beyond what it held before.
func TestAFileOfAnySizeIsImportedInBoundedMemory(t *testing.T) {
	size, most := int64(12<<20), uint64(150<<20) // what architecture.md allows
	if v := os.Getenv("IMPORT_BYTES"); v != "" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		size = n
	}
	s := mustSite(t)
	s.mustWork(t)
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	idle, highest := m.HeapInuse+m.StackInuse, atomic.Uint64{}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for tick := time.NewTicker(10 * time.Millisecond); ; {
			select {
			case <-stop:
				return
			case <-tick.C:
				var now runtime.MemStats
				runtime.ReadMemStats(&now)
				highest.Store(max(highest.Load(), now.HeapInuse+now.StackInuse))
			}
		}
	}()
	began := time.Now()
	at, records := s.uploadStreamed(t, size)
	page := s.get(t, at)
	page.is(t, http.StatusOK)
	started := s.post(t, at, filled(t, page.body, at))
	id, ok := strings.CutPrefix(started.header.Get("Location"), "/snapshots/")
	if !ok {
		t.Fatalf("not started: %d %s", started.status, started.body)
	}
	s.ended(t, time.Minute+time.Duration(size/(1<<20))*time.Second, "/jobs?snapshot="+id, "items", 0)
	close(stop)
	<-stopped
	if got := field(s.call(t, "GET", "/snapshots/"+id+"/tables", "", 200), "items", 0, "counts", "records"); got != float64(records) {
		t.Errorf("%v records came of %d", got, records)
	}
	more := max(highest.Load(), idle) - idle
	t.Logf("%d MB, %d records in %v: at most %d MB more than the %d MB before", size>>20, records, time.Since(began).Round(time.Second/10), more>>20, idle>>20)
	if more > most {
		t.Errorf("the app held %d MB more than before, at most %d are allowed", more>>20, most>>20)
	}
}

func (s *site) uploadStreamed(t *testing.T, size int64) (location string, records int64) {
	t.Helper()
	r, w := io.Pipe()
	form := multipart.NewWriter(w)
	go func() {
		part, err := form.CreateFormFile("file", "large.csv")
		if err == nil {
			records, err = fileOf(part, size)
		}
		if err == nil {
			err = form.Close()
		}
		_ = w.CloseWithError(err)
	}()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/imports", r)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", form.FormDataContentType())
	a := s.send(t, req)
	if a.status != http.StatusSeeOther {
		t.Fatalf("the upload: %d %s", a.status, a.body)
	}
	return a.header.Get("Location"), records
}

// plainWords gives what a page says as an alert, for messages of tests.
func plainWords(page string) string {
	_, rest, _ := strings.Cut(page, `role="alert"`)
	root, err := html.Parse(strings.NewReader("<p" + rest))
	if err != nil {
		return page
	}
	var b strings.Builder
	for n := range root.Descendants() {
		if n.Type == html.TextNode {
			b.WriteString(strings.TrimSpace(n.Data) + " ")
		}
	}
	return b.String()
}
