package csvfile

import "scratchpaper/internal/core"

// invalid is the error for what the file or the dialect is to blame for.
func invalid(format string, args ...any) *core.Error {
	return core.Errorf(core.Invalid, format, args...)
}
