package localdb

import (
	"strings"

	"scratchpaper/internal/core"
)

func unavailable(cause error, format string, args ...any) error {
	if cause != nil && strings.Contains(cause.Error(), "No space left on device") {
		return diskFull(cause)
	}
	return core.Wrap(cause, core.Unavailable, format, args...)
}

func diskFull(cause error) error {
	return core.Wrap(cause, core.Unavailable, "The disk is full, so the database cannot run. Make room, or set DATA_DIR to a folder on another disk, and start again.")
}
