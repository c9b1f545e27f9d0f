package csvfile

import "bytes"

// span is a field's place in the bytes of its record.
type span struct {
	from, to int
	quoted   bool
	doubled  bool // holds doubled quotes that stand for one
}

// outcome is how a scan ended.
type outcome int

const (
	complete  outcome = iota
	needMore          // the record goes on behind the bytes at hand
	tooWide           // more than MaxColumns fields
	unclosed          // the file ended inside quotes
	fieldLong         // a field is longer than MaxField
)

// scanner finds the fields of one record at the beginning of some bytes. Scanning again with
// more bytes starts over; the caller doubles its buffer, so the work stays linear.
type scanner struct {
	delimiter, quote byte
	loneCR           bool // CR alone ends a record too
	spans            []span
	stray            bool // a quote was kept as text
	openAt           int  // where the last quoted field began
	at               int
	lineEnd, next    int // end of the line that at is on, without its terminator, and the byte after it
}

// scan fills spans with the record at the start of b and returns the number of bytes it takes,
// its line end included. last tells that nothing follows b.
func (s *scanner) scan(b []byte, last bool) (int, outcome) {
	s.spans, s.stray, s.at = s.spans[:0], false, 0
	if !s.findLineEnd(b, last) {
		return 0, s.incomplete(b, 0)
	}
	if s.quote == 0 || bytes.IndexByte(b[:s.lineEnd], s.quote) < 0 {
		return s.next, s.splitPlain(b)
	}
	for {
		more, state := s.field(b, last)
		if state != complete {
			return 0, state
		}
		if len(s.spans) > MaxColumns {
			return 0, tooWide
		}
		if !more {
			return s.next, complete
		}
	}
}

// splitPlain splits a line without quotes.
func (s *scanner) splitPlain(b []byte) outcome {
	from := 0
	for {
		i := bytes.IndexByte(b[from:s.lineEnd], s.delimiter)
		to := from + i
		if i < 0 {
			to = s.lineEnd
		}
		if to-from > MaxField {
			return fieldLong
		}
		if len(s.spans) == MaxColumns {
			return tooWide
		}
		s.spans = append(s.spans, span{from: from, to: to})
		if i < 0 {
			return complete
		}
		from = to + 1
	}
}

// field takes the field at s.at and tells whether another one follows in the record.
func (s *scanner) field(b []byte, last bool) (more bool, state outcome) {
	if s.at < len(b) && b[s.at] == s.quote {
		return s.quotedField(b, last)
	}
	return s.plainField(b)
}

func (s *scanner) plainField(b []byte) (bool, outcome) {
	line := b[s.at:s.lineEnd]
	i := bytes.IndexByte(line, s.delimiter)
	text := line
	if i >= 0 {
		text = line[:i]
	}
	if len(text) > MaxField {
		return false, fieldLong
	}
	s.stray = s.stray || bytes.IndexByte(text, s.quote) >= 0
	s.spans = append(s.spans, span{from: s.at, to: s.at + len(text)})
	s.at += len(text) + 1
	return i >= 0, complete
}

func (s *scanner) quotedField(b []byte, last bool) (bool, outcome) {
	f := span{from: s.at + 1, quoted: true}
	s.openAt = s.at
	for p := f.from; ; {
		i := bytes.IndexByte(b[p:], s.quote)
		if i < 0 || (p+i+1 == len(b) && !last) {
			return false, s.unfinished(b, last)
		}
		p += i
		switch {
		case p+1 < len(b) && b[p+1] == s.quote:
			f.doubled = true
			p += 2
		case p+1 < len(b) && b[p+1] == s.delimiter:
			f.to, s.at = p, p+2
			return true, s.closeField(b, f, last)
		case p+1 == len(b) || b[p+1] == '\n' || b[p+1] == '\r':
			length, state := s.terminator(b, p+1, last)
			if state != complete {
				return false, state
			}
			if length < 0 {
				s.stray = true
				p++
				continue
			}
			f.to, s.next = p, p+1+length
			s.spans = append(s.spans, f)
			return false, s.checkLength(f)
		default:
			s.stray = true
			p++
		}
	}
}

// closeField keeps a quoted field that another one follows.
func (s *scanner) closeField(b []byte, f span, last bool) outcome {
	if f.to-f.from > MaxField {
		return fieldLong
	}
	s.spans = append(s.spans, f)
	if s.at > s.lineEnd && !s.findLineEnd(b, last) {
		// A quoted field may still begin here; without its line end a plain one cannot be cut.
		return s.incomplete(b, s.at)
	}
	return complete
}

func (s *scanner) checkLength(f span) outcome {
	if f.to-f.from > MaxField {
		return fieldLong
	}
	return complete
}

// unfinished tells why a quoted field has no end in b.
func (s *scanner) unfinished(b []byte, last bool) outcome {
	if len(b)-s.openAt-1 > MaxField+1 { // the last byte may be the closing quote
		return fieldLong
	}
	if last {
		return unclosed
	}
	return needMore
}

// incomplete is the outcome when the line that begins at from has no end in b.
func (s *scanner) incomplete(b []byte, from int) outcome {
	s.openAt = from
	if len(b)-from > MaxField+1 && bytes.IndexByte(b[from:], s.delimiter) < 0 {
		return fieldLong
	}
	return needMore
}

// terminator measures the line end at i. Its length is -1 when b[i] is a CR that is text, and 0
// at the end of the file.
func (s *scanner) terminator(b []byte, i int, last bool) (int, outcome) {
	switch {
	case i == len(b):
		return 0, complete
	case b[i] == '\n':
		return 1, complete
	case i+1 < len(b) && b[i+1] == '\n':
		return 2, complete
	case i+1 == len(b) && !last:
		return 0, needMore
	case i+1 == len(b) || s.loneCR:
		return 1, complete // at the end of a file a CR is half a CR LF
	}
	return -1, complete
}

// findLineEnd looks for the end of the line that s.at is on, as if there were no quotes.
func (s *scanner) findLineEnd(b []byte, last bool) bool {
	i := s.indexLineEnd(b[s.at:])
	if i < 0 {
		return s.endOfFile(b, last)
	}
	end := s.at + i
	if b[end] == '\r' {
		length, state := s.terminator(b, end, last)
		s.lineEnd, s.next = end, end+length
		return state == complete
	}
	s.next = end + 1
	if end > s.at && b[end-1] == '\r' {
		end--
	}
	s.lineEnd = end
	return true
}

func (s *scanner) endOfFile(b []byte, last bool) bool {
	s.lineEnd, s.next = len(b), len(b)
	if last && s.lineEnd > s.at && b[s.lineEnd-1] == '\r' {
		s.lineEnd--
	}
	return last
}

func (s *scanner) indexLineEnd(b []byte) int {
	if s.loneCR {
		return bytes.IndexAny(b, "\r\n")
	}
	return bytes.IndexByte(b, '\n')
}
