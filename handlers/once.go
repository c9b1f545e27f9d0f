package handlers

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/store"
)

// once answers a request that carries an Idempotency-Key a second time as the first time, without doing it again, also when
// the first one was interrupted. What changed nothing (busy, refused, not found) is not kept, so that it can be tried again.
func (s *Server) once(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.Request().Header.Get(idempotencyKey) == "" {
			return next(c)
		}
		body, err := io.ReadAll(c.Request().Body)
		if err != nil {
			return unread(err)
		}
		c.Request().Body = io.NopCloser(bytes.NewReader(body))
		sum := sha256.Sum256(body)
		return s.onceOf(c, sum[:], func() error { return next(c) })
	}
}

const idempotencyKey = "Idempotency-Key"

// onceOf is once for a request whose body has been read: sum stands for it. next finds in c's request what an earlier try did.
func (s *Server) onceOf(c echo.Context, sum []byte, next func() error) error {
	key := c.Request().Header.Get(idempotencyKey)
	if key == "" {
		return next()
	}
	if len(key) > 255 {
		return core.Errorf(core.Malformed, "An Idempotency-Key has at most 255 characters.")
	}
	key = actor(c).Person + " " + key // people who happen to choose the same key do not meet
	known, err := s.store.BeginOnce(ctxOf(c), actor(c), key, c.Request().Method+" "+c.Request().URL.RequestURI(), sum)
	if err != nil {
		return err
	}
	if known.Done {
		return c.Blob(known.Status, echo.MIMEApplicationJSON, known.Body)
	}
	return s.runOnce(c, next, known)
}

func (s *Server) runOnce(c echo.Context, next func() error, known store.Once) error {
	c.SetRequest(c.Request().WithContext(known.Context(ctxOf(c))))
	answer := &keptAnswer{ResponseWriter: c.Response().Writer}
	c.Response().Writer = answer
	err := next()
	c.Response().Writer = answer.ResponseWriter
	// The browser may have gone; what was done is kept all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctxOf(c)), 5*time.Second)
	defer cancel()
	if err != nil || c.Response().Status >= 400 {
		if drop := s.store.DropOnce(ctx, actor(c), known); drop != nil {
			s.log.WarnContext(ctx, "idempotency key not dropped", "error", drop)
		}
		return err
	}
	if keep := s.store.EndOnce(ctx, actor(c), known, c.Response().Status, answer.body.Bytes()); keep != nil {
		s.log.WarnContext(ctx, "answer not kept", "error", keep)
	}
	return nil
}

// keptAnswer keeps what is written.
type keptAnswer struct {
	http.ResponseWriter
	body bytes.Buffer
}

// Write keeps and writes.
func (k *keptAnswer) Write(p []byte) (int, error) {
	k.body.Write(p)
	return k.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (k *keptAnswer) Unwrap() http.ResponseWriter { return k.ResponseWriter }
