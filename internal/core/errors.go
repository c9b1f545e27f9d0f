package core

import (
	"errors"
	"fmt"
)

// Code tells a program what kind of failure an Error is. Handlers map codes to HTTP statuses in one place.
type Code string

// The codes of every Error. An error that is none of ours counts as Internal.
const (
	Invalid      Code = "invalid"      // 422: a value was refused; Fields say which
	Malformed    Code = "malformed"    // 400: the request could not be read
	NotFound     Code = "not_found"    // 404: not there, or somebody else's
	Forbidden    Code = "forbidden"    // 403: the actor's role does not allow it
	Unauthorized Code = "unauthorized" // 401: nobody is signed in
	Conflict     Code = "conflict"     // 409: the state does not allow it (any more)
	Busy         Code = "busy"         // 409 with Retry-After: somebody else holds it for a moment
	TooLarge     Code = "too_large"    // 413
	TooMany      Code = "too_many"     // 429
	Unavailable  Code = "unavailable"  // 503: Postgres, Redis or a service cannot be reached
	Internal     Code = "internal"     // 500: shows nothing but a sentence
)

// FieldError is one refused field of a form or body. Pointer is a JSON pointer ("/settings/host").
type FieldError struct {
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

// Error has a code for the program, a sentence for the person and a cause for the log.
type Error struct {
	Code       Code
	Sentence   string
	Fields     []FieldError
	RetryAfter int // seconds; only with Busy, TooMany and Unavailable, 0 when unknown
	Cause      error
}

// Error gives code, sentence and cause, for logs. Show Sentence to people, never this.
func (e *Error) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Sentence, e.Cause)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Sentence)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Errorf makes an Error without a cause.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Sentence: fmt.Sprintf(format, args...)}
}

// Wrap makes an Error that keeps cause for the log.
func Wrap(cause error, code Code, format string, args ...any) *Error {
	return &Error{Code: code, Sentence: fmt.Sprintf(format, args...), Cause: cause}
}

// FieldErrorf makes an Invalid error about one field. The pointer is a JSON pointer.
func FieldErrorf(pointer, format string, args ...any) *Error {
	s := fmt.Sprintf(format, args...)
	return &Error{Code: Invalid, Sentence: s, Fields: []FieldError{{Pointer: pointer, Detail: s}}}
}

// CodeOf gives the code of the first Error in err's chain, Internal when there is none, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}

// SentenceOf gives what a person may read of err.
func SentenceOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Sentence
	}
	return "Something went wrong on our side. Nothing was changed by this request; try again, and look at the log if it stays."
}
