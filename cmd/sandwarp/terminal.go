package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// streams are where a command reads and writes; tests replace them.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// readFile reads a file of at most limit bytes, whatever it is.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s: longer than %d bytes", path, limit)
	}
	return b, err
}

// checkedWriter remembers the first error of standard output, so that a command
// whose output was lost does not end well.
type checkedWriter struct {
	w   io.Writer
	err error
}

func (c *checkedWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	if err != nil && c.err == nil {
		c.err = err
	}
	return n, err
}

// isTerminal reports whether a stream is a terminal a person looks at.
func isTerminal(s any) bool {
	if c, ok := s.(*checkedWriter); ok {
		s = c.w
	}
	f, ok := s.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// printable takes out what a terminal would obey instead of show: a model's text
// must not move the cursor, set the title or answer questions.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && unicode.IsControl(r) {
			return '\ufffd'
		}
		return r
	}, s)
}

// progress shows a bar on a terminal and nothing elsewhere. The returned
// function takes what is done and what there is in all; done ends the bar.
func (s streams) progress(what string) (report func(done, total int64), end func()) {
	if !isTerminal(s.err) {
		return func(int64, int64) {}, func() {}
	}
	var bar *progressbar.ProgressBar
	start := time.Now()
	report = func(done, total int64) {
		if time.Since(start) < 300*time.Millisecond {
			return // what is quick needs no bar
		}
		if bar == nil {
			bar = progressbar.NewOptions64(total,
				progressbar.OptionSetWriter(s.err), progressbar.OptionSetDescription(what),
				progressbar.OptionShowBytes(true), progressbar.OptionClearOnFinish(),
				progressbar.OptionThrottle(80*time.Millisecond), progressbar.OptionSetWidth(30))
		}
		if bar.GetMax64() != total { // begun anew, on another backend
			bar.ChangeMax64(total)
		}
		_ = bar.Set64(done)
	}
	return report, func() {
		if bar != nil {
			_ = bar.Finish()
		}
	}
}
