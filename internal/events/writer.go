package events

import (
	"bytes"
	"net/http"
	"time"
)

// timedWriter gives every write its own deadline, so that a browser that stops reading makes the write fail
// instead of holding it for ever, and the server's own write time-out does not end the stream.
type timedWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	limit   time.Duration
}

func newTimedWriter(w http.ResponseWriter, r *http.Request, limit time.Duration) *timedWriter {
	t := &timedWriter{ResponseWriter: w, control: http.NewResponseController(w), limit: limit}
	t.closing(r)
	return t
}

// closing lets a connection of HTTP/1 end with its stream: a deadline left on it would fall on a later request.
func (t *timedWriter) closing(r *http.Request) {
	if r.ProtoMajor == 1 {
		t.ResponseWriter = closingWriter{t.ResponseWriter}
	}
}

// Write writes within the limit.
func (t *timedWriter) Write(b []byte) (int, error) {
	t.extend()
	return t.ResponseWriter.Write(b)
}

// Flush flushes within the limit. A failed flush cancels the request.
func (t *timedWriter) Flush() {
	t.extend()
	_ = t.control.Flush()
}

// Unwrap gives the writer below to http.ResponseController.
func (t *timedWriter) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// extend moves the deadline. A writer that has none (a recorder) is written to without.
func (t *timedWriter) extend() { _ = t.control.SetWriteDeadline(time.Now().Add(t.limit)) }

// closingWriter asks for the connection to be closed, over the library's keep-alive.
type closingWriter struct{ http.ResponseWriter }

// WriteHeader sends the header with Connection: close.
func (c closingWriter) WriteHeader(status int) {
	c.Header().Set("Connection", "close")
	c.ResponseWriter.WriteHeader(status)
}

// Unwrap gives the writer below to http.ResponseController.
func (c closingWriter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// oneKindOfLineEnd makes every line end a line feed, the only one by which the library splits data:
// to a browser a lone carriage return ends a line too, and what follows could pass for an event.
func oneKindOfLineEnd(data []byte) []byte {
	if !bytes.ContainsRune(data, '\r') {
		return data
	}
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	return bytes.ReplaceAll(data, []byte("\r"), []byte("\n"))
}
