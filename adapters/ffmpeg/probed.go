package ffmpeg

import (
	"io/fs"
	"os"
	"sync"
)

// probed remembers what the headers of the last sources said: every chunk asks, and to start ffprobe in its cage takes
// about 0.15 s in which nothing is encoded. A file that was changed or replaced is read again, one that grows is not.
type probed struct {
	mu    sync.Mutex
	known []knownSource // the last used at the end
}

type knownSource struct {
	path  string
	file  fs.FileInfo
	probe probe
}

// maxProbed is more sources than are in work at once.
const maxProbed = 32

func (k knownSource) is(path string, file fs.FileInfo, grows bool) bool {
	return k.path == path && os.SameFile(k.file, file) &&
		(grows || k.file.Size() == file.Size() && k.file.ModTime().Equal(file.ModTime()))
}

func (p *probed) get(path string, file fs.FileInfo, grows bool) (probe, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, k := range p.known {
		if k.is(path, file, grows) {
			p.known = append(append(p.known[:i], p.known[i+1:]...), k)
			return k.probe, true
		}
	}
	return probe{}, false
}

func (p *probed) put(path string, file fs.FileInfo, found probe) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.known) == maxProbed {
		p.known = p.known[1:]
	}
	p.known = append(p.known, knownSource{path, file, found})
}
