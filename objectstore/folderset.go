package objectstore

import "sync"

// folderSet is a set of folders that forgets all when it has grown large: what it
// has forgotten is only made durable once more. The zero value is empty.
type folderSet struct {
	mu    sync.Mutex
	names map[string]bool
}

const maxFolderSet = 1 << 16

func (s *folderSet) has(folder string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.names[folder]
}

func (s *folderSet) add(folder string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.names == nil || len(s.names) >= maxFolderSet {
		s.names = make(map[string]bool)
	}
	s.names[folder] = true
}

func (s *folderSet) remove(folder string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.names, folder)
}
