//go:build !linux

package wordpresstest

import "syscall"

// attributes make, as root, a child run as somebody else: neither server wants to be root.
func attributes(as *account) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true}
	if as != nil {
		a.Credential = &syscall.Credential{Uid: as.uid, Gid: as.gid}
	}
	return a
}
