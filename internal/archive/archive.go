// Package archive is the form of a backup file: named sections of bytes in a compressed stream, each with its checksum, and a mark at the
// end, so that half a file or a changed one is never taken for a whole one.
//
// A file begins with a line that names the form and its version. What follows is compressed by zstd: records of a letter, a length and as
// many bytes. H is the header, S begins a section and says what it is, D is a part of its data, E ends it with counts and checksum, Z ends
// the file with the checksum of all before it.
package archive

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/zstd"

	"scratchpaper/internal/core"
)

// magic is the first line of a file. Another version of the form gets another number.
const magic = "scratchpaper-backup 1\n"

const (
	header  = 'H'
	section = 'S'
	data    = 'D'
	endOf   = 'E'
	endFile = 'Z'
)

// maxRecord is how long one record may be: data is cut into parts that are far shorter.
const maxRecord = 16 << 20

// part is how much data one record holds.
const part = 256 << 10

// ended is what stands at the end of a section.
type ended struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// finished is what stands at the end of a file.
type finished struct {
	Sections int    `json:"sections"`
	SHA256   string `json:"sha256"` // of all records before this one
}

// Writer writes a file. Close it, or the file is half a one.
type Writer struct {
	zip      *zstd.Encoder
	all      hash.Hash
	sections int
}

// NewWriter begins a file with a header.
func NewWriter(to io.Writer, about any) (*Writer, error) {
	if _, err := io.WriteString(to, magic); err != nil {
		return nil, err
	}
	zip, err := zstd.NewWriter(to)
	if err != nil {
		return nil, err
	}
	w := &Writer{zip: zip, all: sha256.New()}
	return w, w.say(header, about)
}

// Section writes one section: fill writes its data.
func (w *Writer) Section(about any, fill func(to io.Writer) error) error {
	if err := w.say(section, about); err != nil {
		return err
	}
	s := &sectionWriter{w: w, sum: sha256.New()}
	buffered := bufio.NewWriterSize(s, part)
	if err := errors.Join(fill(buffered), buffered.Flush()); err != nil {
		return err
	}
	w.sections++
	return w.say(endOf, ended{Bytes: s.bytes, SHA256: hex.EncodeToString(s.sum.Sum(nil))})
}

// Close ends the file. It does not close what the file is written to.
func (w *Writer) Close() error {
	if err := w.say(endFile, finished{Sections: w.sections, SHA256: hex.EncodeToString(w.all.Sum(nil))}); err != nil {
		return err
	}
	return w.zip.Close()
}

func (w *Writer) say(kind byte, about any) error {
	raw, err := json.Marshal(about)
	if err != nil {
		return err
	}
	return w.record(kind, raw)
}

func (w *Writer) record(kind byte, raw []byte) error {
	head := binary.AppendUvarint([]byte{kind}, uint64(len(raw)))
	w.all.Write(head)
	w.all.Write(raw)
	_, err := w.zip.Write(head)
	if err == nil {
		_, err = w.zip.Write(raw)
	}
	return err
}

type sectionWriter struct {
	w     *Writer
	sum   hash.Hash
	bytes int64
}

// Write writes one record of data for each part.
func (s *sectionWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(len(rest), part)
		if err := s.w.record(data, rest[:n]); err != nil {
			return 0, err
		}
		s.sum.Write(rest[:n])
		rest = rest[n:]
	}
	s.bytes += int64(len(p))
	return len(p), nil
}

// Reader reads a file, section by section.
type Reader struct {
	Header   json.RawMessage
	zip      *zstd.Decoder
	in       *bufio.Reader
	all      hash.Hash
	sections int
	open     *sectionReader
}

// NewReader begins to read a file. Close it. Codes: Invalid (it is no backup, or of another version).
func NewReader(from io.Reader) (*Reader, error) {
	first := make([]byte, len(magic))
	if _, err := io.ReadFull(from, first); err != nil || !bytes.HasPrefix(first, []byte("scratchpaper-backup ")) {
		return nil, core.Errorf(core.Invalid, "This is not a backup of Scratchpaper.")
	}
	if string(first) != magic {
		return nil, core.Errorf(core.Invalid, "This backup was made by a newer version of the app. Restore it with that one.")
	}
	zip, err := zstd.NewReader(from, zstd.WithDecoderMaxMemory(256<<20))
	if err != nil {
		return nil, err
	}
	r := &Reader{zip: zip, in: bufio.NewReaderSize(zip, part), all: sha256.New()}
	kind, raw, err := r.record()
	if err == nil && kind != header {
		err = errors.New("no header")
	}
	if err != nil {
		zip.Close()
		return nil, half(err)
	}
	r.Header = raw
	return r, nil
}

// Close lets go of what reading needed.
func (r *Reader) Close() { r.zip.Close() }

// half is what people are told of a file that is not whole.
func half(err error) error {
	return core.Wrap(err, core.Invalid, "This backup is not whole: it was cut off or changed. Nothing was restored from it.")
}

// Next gives what the next section is, and its data. io.EOF is the end of a whole file. Codes: Invalid (it is not whole).
func (r *Reader) Next(about any) (io.Reader, error) {
	if r.open != nil {
		if _, err := io.Copy(io.Discard, r.open); err != nil {
			return nil, err
		}
	}
	before := hex.EncodeToString(r.all.Sum(nil))
	kind, raw, err := r.record()
	if err != nil {
		return nil, half(err)
	}
	switch kind {
	case section:
		if err := json.Unmarshal(raw, about); err != nil {
			return nil, half(err)
		}
		r.sections++
		r.open = &sectionReader{r: r, sum: sha256.New()}
		return r.open, nil
	case endFile:
		var f finished
		if err := json.Unmarshal(raw, &f); err != nil || f.SHA256 != before || f.Sections != r.sections {
			return nil, half(fmt.Errorf("the end does not fit: %w", err))
		}
		if n, err := r.in.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
			return nil, half(errors.New("something follows the end"))
		}
		return nil, io.EOF
	}
	return nil, half(fmt.Errorf("record %q", kind))
}

func (r *Reader) record() (byte, []byte, error) {
	kind, err := r.in.ReadByte()
	if err != nil {
		return 0, nil, noEOF(err)
	}
	n, err := binary.ReadUvarint(r.in)
	if err != nil {
		return 0, nil, noEOF(err)
	}
	if n > maxRecord {
		return 0, nil, fmt.Errorf("a record of %d bytes", n)
	}
	raw := make([]byte, n)
	if _, err := io.ReadFull(r.in, raw); err != nil {
		return 0, nil, noEOF(err)
	}
	r.all.Write(binary.AppendUvarint([]byte{kind}, n))
	r.all.Write(raw)
	return kind, raw, nil
}

// noEOF makes the end of a stream what it is before the mark: too early.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

type sectionReader struct {
	r     *Reader
	sum   hash.Hash
	rest  []byte
	bytes int64
	done  bool
}

// Read gives data until the section's end, whose checksum has to fit.
func (s *sectionReader) Read(p []byte) (int, error) {
	for len(s.rest) == 0 {
		if s.done {
			return 0, io.EOF
		}
		kind, raw, err := s.r.record()
		switch {
		case err != nil:
			return 0, half(err)
		case kind == data:
			s.sum.Write(raw)
			s.bytes += int64(len(raw))
			s.rest = raw
		case kind == endOf:
			var e ended
			if err := json.Unmarshal(raw, &e); err != nil || e.Bytes != s.bytes || e.SHA256 != hex.EncodeToString(s.sum.Sum(nil)) {
				return 0, half(fmt.Errorf("the section's checksum does not fit: %w", err))
			}
			s.done, s.r.open = true, nil
		default:
			return 0, half(fmt.Errorf("record %q in a section", kind))
		}
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// Verify reads a whole file and says whether it is one. Codes: Invalid.
func Verify(from io.Reader) error {
	r, err := NewReader(from)
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		var about json.RawMessage
		if _, err := r.Next(&about); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
