package cpubackend

import (
	"os"
	"strings"
)

func brandName() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(info)) {
		key, value, _ := strings.Cut(line, ":")
		if k := strings.TrimSpace(key); k == "model name" || k == "Model" || k == "Hardware" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
