//go:build unix && !linux

package localdb

import "syscall"

// dieWithParent does nothing where the kernel has no such signal: there a server left behind is adopted by the next start.
func dieWithParent(*syscall.SysProcAttr) {}
