package programs

import "strings"

// Bundled gives the archive that is built into this program and the Sum of what it unpacks to. It is there in programs that
// were built with the tag "bundled", as `make build` does.
func Bundled() (packed, wanted string, ok bool) {
	return archive, strings.TrimSpace(sum), archive != ""
}
