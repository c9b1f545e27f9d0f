//go:build unix && !linux

package localdb

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// machineMemory is the memory of this machine in bytes.
func machineMemory() uint64 {
	raw, err := unix.SysctlRaw("hw.memsize")
	if err != nil || len(raw) < 8 {
		return 1 << 30
	}
	return binary.LittleEndian.Uint64(raw)
}
