package localdb

import (
	"context"
	"errors"
	"strings"

	"scratchpaper/internal/core"
)

func unavailable(cause error, format string, args ...any) error {
	if noRoom(cause) {
		return diskFull(cause)
	}
	return core.Wrap(cause, core.Unavailable, format, args...)
}

// noRoom knows a full disk, or a used-up quota, from our own calls and from the words of Postgres.
func noRoom(cause error) bool {
	if cause == nil {
		return false
	}
	words := strings.ToLower(cause.Error())
	return strings.Contains(words, "no space left on device") || strings.Contains(words, "quota exceeded")
}

func diskFull(cause error) error {
	return core.Wrap(cause, core.Unavailable, "The disk is full, so the database cannot run. Make room, or set DATA_DIR to a folder on another disk, and start again.")
}

// cutShort is unavailable for a wait that ctx has ended, which nobody needs explained when they asked for it.
func cutShort(ctx context.Context, cause error, format string, args ...any) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return core.Wrap(ctx.Err(), core.Unavailable, "The start of the database was broken off.")
	}
	return unavailable(errors.Join(ctx.Err(), cause), format, args...)
}
