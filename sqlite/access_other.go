//go:build !unix

package sqlite

import "os"

// checkAccess returns an error where the file is marked as read-only.
func checkAccess(_ string, file os.FileInfo) error {
	if file.Mode().Perm()&0o200 == 0 {
		return os.ErrPermission
	}
	return nil
}
