package cpubackend

import "golang.org/x/sys/unix"

func brandName() string {
	n, _ := unix.Sysctl("machdep.cpu.brand_string")
	return n
}
