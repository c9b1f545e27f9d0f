package localdb

import "syscall"

// dieWithParent lets the kernel stop the child when this program dies in any way. The signal is tied to the thread
// that starts the child, so that thread must live as long as the program. SIGINT is Postgres's fast shutdown.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGINT }
