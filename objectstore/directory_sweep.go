package objectstore

import (
	"context"
	"path"
	"time"
)

// leftoverAge is how old a temporary file is that nobody can be writing any more.
const leftoverAge = time.Hour

// sweep removes what crashes left in the folder and those beneath it.
func (d *Directory) sweep(ctx context.Context, folder string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	entries, err := d.readFolder(folder)
	if err != nil {
		return err
	}
	swept := false
	for _, entry := range entries {
		name := path.Join(folder, entry.Name())
		switch {
		case entry.IsDir() && isSegment(entry.Name()):
			if err := d.sweep(ctx, name); err != nil {
				return err
			}
		case entry.Type().IsRegular() && isTemporary(entry.Name()):
			info, err := d.root.Lstat(name)
			if isAbsent(err) {
				continue // another process was faster
			}
			if err != nil {
				return err
			}
			if d.now().Sub(info.ModTime()) < leftoverAge {
				continue
			}
			if err := d.root.Remove(name); err != nil && !isAbsent(err) {
				return err
			}
			swept = true
		}
	}
	if swept {
		return d.removeEmpty(folder)
	}
	return nil
}

// isTemporary says whether name is that of a temporary file of a Put.
func isTemporary(name string) bool {
	if len(name) != 17 || name[0] != '~' {
		return false
	}
	for i := 1; i < len(name); i++ {
		if c := name[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
