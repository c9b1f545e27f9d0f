package archive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"scratchpaper/internal/core"
)

// mustFile makes a file of sections, some longer than a record.
func mustFile(t testing.TB, sections ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, map[string]int{"version": 7})
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range sections {
		if err := w.Section(fmt.Sprint("section ", i), func(to io.Writer) error { _, err := io.WriteString(to, s); return err }); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWhatWasWrittenIsReadAgain(t *testing.T) {
	t.Parallel()
	want := []string{"first", "", strings.Repeat("long ", 200_000), "last"}
	r, err := NewReader(bytes.NewReader(mustFile(t, want...)))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if string(r.Header) != `{"version":7}` {
		t.Errorf("the header is %s", r.Header)
	}
	for i := 0; ; i++ {
		var about string
		from, err := r.Next(&about)
		if errors.Is(err, io.EOF) {
			if i != len(want) {
				t.Errorf("%d sections, want %d", i, len(want))
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if i == 2 {
			continue // passed over
		}
		raw, err := io.ReadAll(from)
		if err != nil || string(raw) != want[i] || about != fmt.Sprint("section ", i) {
			t.Errorf("section %d is %q with %d bytes, %v", i, about, len(raw), err)
		}
	}
}

func TestHalfAFileAndAChangedOneAreRefused(t *testing.T) {
	t.Parallel()
	whole := mustFile(t, "first", strings.Repeat("some text ", 1000), "last")
	if err := Verify(bytes.NewReader(whole)); err != nil {
		t.Fatalf("the whole file: %v", err)
	}
	for n := range whole {
		if err := Verify(bytes.NewReader(whole[:n])); core.CodeOf(err) != core.Invalid {
			t.Fatalf("the first %d of %d bytes give %v", n, len(whole), err)
		}
	}
	for n := range whole {
		changed := bytes.Clone(whole)
		changed[n] ^= 1
		if err := Verify(bytes.NewReader(changed)); core.CodeOf(err) != core.Invalid {
			t.Fatalf("byte %d of %d changed gives %v", n, len(whole), err)
		}
	}
	if err := Verify(bytes.NewReader(append(bytes.Clone(whole), "more"...))); core.CodeOf(err) != core.Invalid {
		t.Errorf("more at the end gives %v", err)
	}
}

func FuzzVerify(f *testing.F) {
	f.Add(mustFile(f, "a", "b"))
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := NewReader(bytes.NewReader(raw))
		if err != nil {
			return
		}
		defer r.Close()
		for range 100 {
			var about json.RawMessage
			if _, err := r.Next(&about); err != nil {
				return
			}
		}
	})
}
