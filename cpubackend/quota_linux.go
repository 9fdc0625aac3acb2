package cpubackend

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// quota is how many processors' time the control groups of this process allow it, 0
// if they set no limit: cgroups(7), cpu.max of version 2, cpu.cfs_quota_us of version 1.
// GOMAXPROCS knows of it, too, but never becomes less than two, and two workers that
// spin for each other on the time of one would spend half of it waiting.
func quota() float64 { return quotaUnder("/") }

// quotaUnder reads /proc and the mounts below root.
func quotaUnder(root string) float64 {
	groups, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return 0
	}
	mounts, err := os.ReadFile(filepath.Join(root, "proc/self/mountinfo"))
	if err != nil {
		return 0
	}
	least := math.Inf(1)
	for line := range strings.Lines(string(mounts)) {
		m, ok := parseMount(line)
		if !ok {
			continue
		}
		group, ok := groupOf(string(groups), m.version)
		if !ok {
			continue
		}
		// A limit of any group above counts as well, as far as they can be seen.
		top := filepath.Join(root, m.point)
		at := filepath.Join(top, m.below(group))
		for ; ; at = filepath.Dir(at) {
			if q := m.limit(at); q > 0 {
				least = min(least, q)
			}
			if at == top {
				break
			}
		}
	}
	if math.IsInf(least, 1) {
		return 0
	}
	return least
}

// cgroupMount is where a hierarchy with the processor controller is mounted.
type cgroupMount struct {
	version int
	root    string // the group that the mount shows as its top
	point   string
}

// parseMount reads a line of mountinfo; ok is false of other mounts.
func parseMount(line string) (m cgroupMount, ok bool) {
	before, after, ok := strings.Cut(line, " - ")
	at, kind := strings.Fields(before), strings.Fields(after)
	if !ok || len(at) < 5 || len(kind) < 3 {
		return m, false
	}
	m = cgroupMount{root: at[3], point: at[4]}
	switch kind[0] {
	case "cgroup2":
		m.version = 2
	case "cgroup":
		m.version = 1
		return m, listed(kind[2], "cpu")
	}
	return m, m.version > 0
}

// listed reports whether a list with commas has a word.
func listed(list, word string) bool {
	for w := range strings.SplitSeq(list, ",") {
		if w == word {
			return true
		}
	}
	return false
}

// groupOf finds this process's group in /proc/self/cgroup, whose lines are
// id:controllers:path, of version 2 with neither id nor controllers.
func groupOf(groups string, version int) (path string, ok bool) {
	for line := range strings.Lines(groups) {
		part := strings.SplitN(strings.TrimRight(line, "\n"), ":", 3)
		if len(part) < 3 {
			continue
		}
		if version == 2 && part[0] == "0" && part[1] == "" || version == 1 && listed(part[1], "cpu") {
			return part[2], true
		}
	}
	return "", false
}

// below is where a group lies under the mount, the top if it is outside of what the
// mount shows.
func (m cgroupMount) below(group string) string {
	rest, ok := strings.CutPrefix(group, strings.TrimRight(m.root, "/"))
	if !ok || strings.Contains(rest, "..") {
		return ""
	}
	return rest
}

// limit is the limit of one group, 0 for none.
func (m cgroupMount) limit(dir string) float64 {
	var f [][]byte
	if m.version == 2 {
		b, _ := os.ReadFile(filepath.Join(dir, "cpu.max"))
		f = bytes.Fields(b) // "max 100000" or "quota period"
	} else {
		q, _ := os.ReadFile(filepath.Join(dir, "cpu.cfs_quota_us")) // -1 for none
		p, _ := os.ReadFile(filepath.Join(dir, "cpu.cfs_period_us"))
		f = append(bytes.Fields(q), bytes.Fields(p)...)
	}
	if len(f) != 2 {
		return 0
	}
	q, err1 := strconv.ParseFloat(string(f[0]), 64)
	p, err2 := strconv.ParseFloat(string(f[1]), 64)
	if err1 != nil || err2 != nil || !(q > 0 && p > 0) {
		return 0
	}
	return q / p
}
