package cpubackend

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Control groups of both versions, as containers and services see them.
func TestQuota(t *testing.T) {
	const v2 = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	const v1 = "30 29 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n" +
		"31 29 0:28 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
	for _, c := range []struct {
		name, groups, mounts string
		files                map[string]string
		want                 float64
	}{
		{"nothing is mounted", "0::/\n", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n", nil, 0},
		{"no limit", "0::/a\n", v2, map[string]string{"sys/fs/cgroup/a/cpu.max": "max 100000\n"}, 0},
		{"a container with its own view", "0::/\n", v2, map[string]string{"sys/fs/cgroup/cpu.max": "50000 100000\n"}, 0.5},
		{"the limit of a group above", "0::/a/b/c\n", v2, map[string]string{
			"sys/fs/cgroup/a/cpu.max": "150000 100000\n", "sys/fs/cgroup/a/b/cpu.max": "max 100000\n", "sys/fs/cgroup/a/b/c/cpu.max": "400000 100000\n"}, 1.5},
		{"version 1", "4:cpu,cpuacct:/docker/x\n3:cpuset:/\n", v1, map[string]string{
			"sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us": "200000\n", "sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us": "100000\n"}, 2},
		{"version 1 without a limit", "4:cpu,cpuacct:/\n", v1, map[string]string{
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n"}, 0},
		{"a mount that shows a part", "4:cpu:/docker/x/inner\n",
			"30 29 0:27 /docker/x /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n", map[string]string{
				"sys/fs/cgroup/cpu/inner/cpu.cfs_quota_us": "100000\n", "sys/fs/cgroup/cpu/inner/cpu.cfs_period_us": "100000\n"}, 1},
		{"a group outside of the mount", "0::/../other\n", v2, map[string]string{"sys/fs/cgroup/cpu.max": "300000 100000\n"}, 3},
		{"nonsense", "0::/\nx\n", v2 + "x - y\n", map[string]string{"sys/fs/cgroup/cpu.max": "many 100000\n"}, 0},
		{"nothing divided by nothing", "0::/\n", v2, map[string]string{"sys/fs/cgroup/cpu.max": "0 0\n"}, 0},
	} {
		root := t.TempDir()
		files := map[string]string{"proc/self/cgroup": c.groups, "proc/self/mountinfo": c.mounts}
		maps.Copy(files, c.files)
		for name, text := range files {
			path := filepath.Join(root, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got := quotaUnder(root); got != c.want {
			t.Errorf("%s: %v processors, want %v", c.name, got, c.want)
		}
	}
}

// The number of workers in processes that may use less than the whole machine.
func TestDefaultThreadsOfLimitedProcess(t *testing.T) {
	if os.Getenv("SANDWARP_TEST_CHILD") != "" {
		fmt.Printf("THREADS %d\n", defaultThreads())
		return
	}
	t.Run("affinity", func(t *testing.T) {
		var all, one unix.CPUSet
		runtime.LockOSThread() // a child inherits the affinity of the thread that starts it
		defer runtime.UnlockOSThread()
		if err := unix.SchedGetaffinity(0, &all); err != nil {
			t.Skip(err)
		}
		for cpu := range 1024 {
			if all.IsSet(cpu) {
				one.Set(cpu)
				break
			}
		}
		if err := unix.SchedSetaffinity(0, &one); err != nil {
			t.Skip(err)
		}
		defer func() { _ = unix.SchedSetaffinity(0, &all) }()
		childThreads(t, "", 1)
	})
	for quota, want := range map[string]int{"100000": 1, "150000": min(2, runtime.NumCPU()), "20000": 1} {
		t.Run("quota "+quota, func(t *testing.T) { childThreads(t, limitedGroup(t, quota), want) })
	}
}

// limitedGroup makes a control group with a limit, in microseconds of every 100,000,
// where this process is allowed to.
func limitedGroup(t *testing.T, quota string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/sys/fs/cgroup/cpu", "sandwarp-test-")
	file := "cpu.cfs_quota_us"
	if err != nil {
		dir, err = os.MkdirTemp("/sys/fs/cgroup", "sandwarp-test-")
		file = "cpu.max"
	}
	if err != nil {
		t.Skip("control groups cannot be made here: ", err)
	}
	t.Cleanup(func() { _ = os.Remove(dir) })
	if err := os.WriteFile(filepath.Join(dir, file), []byte(quota), 0o644); err != nil {
		t.Skip("control groups cannot be limited here: ", err)
	}
	return dir
}

// childThreads runs the test above in a new process, in a control group if there is
// one, and compares what it says.
func childThreads(t *testing.T, group string, want int) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	args := []string{exe, "-test.run=^TestDefaultThreadsOfLimitedProcess$"}
	if group != "" {
		args = append([]string{"/bin/sh", "-c", `echo $$ > "$0/cgroup.procs" && exec "$@"`, group}, args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "SANDWARP_TEST_CHILD=1", "GOMAXPROCS=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Skipf("cannot run a child: %v: %s", err, out)
	}
	if !strings.Contains(string(out), fmt.Sprintf("THREADS %d\n", want)) {
		t.Errorf("the child said %q, want %d threads", out, want)
	}
}
