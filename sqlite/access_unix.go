//go:build unix

package sqlite

import (
	"os"
	"syscall"
)

// checkAccess returns an error where this process may not read and write the file.
func checkAccess(path string, _ os.FileInfo) error {
	const readWrite = 4 | 2 // R_OK | W_OK, see access(2)
	return syscall.Access(path, readWrite)
}
