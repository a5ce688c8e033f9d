package app

import (
	"os"
	"sync"
)

// logFile is a file that lines are appended to, and that can be opened anew
// after it was renamed.
type logFile struct {
	path string // logStdout: standard output

	// mu guards the following.
	mu   sync.Mutex
	file *os.File
}

func openLogFile(path string) (*logFile, error) {
	l := &logFile{path: path, file: os.Stdout}
	if path == logStdout {
		return l, nil
	}
	return l, l.reopen()
}

// Write appends to the file.
func (l *logFile) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Write(b)
}

// reopen opens the file by its name again. On an error the old one stays.
func (l *logFile) reopen() error {
	if l.path == logStdout {
		return nil
	}
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != os.Stdout {
		_ = l.file.Close() // each line was written whole
	}
	l.file = f
	return nil
}

func (l *logFile) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == os.Stdout {
		return nil
	}
	return l.file.Close()
}
