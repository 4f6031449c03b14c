package chaos

import "syscall"

// endWithParent has the kernel tell a daemon to stop when this process dies.
func endWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGTERM }
