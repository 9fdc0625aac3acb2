package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// residentMemory reads what the process holds and how much of it is the mapping of
// the file at path; "" is no file.
func residentMemory(path string) (r resident, err error) {
	if path != "" {
		if path, err = filepath.Abs(path); err != nil {
			return r, err
		}
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return r, err
		}
	}
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return r, err
	}
	defer f.Close()
	return readSmaps(f, path)
}

// readSmaps sums up the mappings; proc_pid_smaps(5) describes the text.
func readSmaps(from io.Reader, path string) (r resident, err error) {
	in := bufio.NewScanner(from)
	ours, seen := false, false
	for in.Scan() {
		fields := strings.Fields(in.Text())
		if len(fields) >= 5 && !strings.HasSuffix(fields[0], ":") { // a mapping begins
			name := strings.Join(fields[min(5, len(fields)):], " ")
			ours = path != "" && name == path
			continue
		}
		if len(fields) != 3 || fields[0] != "Rss:" {
			continue
		}
		kb, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return r, fmt.Errorf("smaps: %w", err)
		}
		seen = true
		if r.total += kb << 10; ours {
			r.file += kb << 10
		}
	}
	if err := in.Err(); err != nil || seen {
		return r, err
	}
	return r, errors.New("smaps lists no resident memory")
}
