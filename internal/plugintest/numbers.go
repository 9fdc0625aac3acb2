package plugintest

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/abi"
)

// numbers are the ABI's, by the names the SDKs give them: those in a namespace begin
// with its name.
var numbers = map[string]int64{
	"code.EPERM": int64(abi.EPERM), "code.ENOENT": int64(abi.ENOENT), "code.EIO": int64(abi.EIO), "code.E2BIG": int64(abi.E2BIG),
	"code.ENOMEM": int64(abi.ENOMEM), "code.EFAULT": int64(abi.EFAULT), "code.EBUSY": int64(abi.EBUSY), "code.EINVAL": int64(abi.EINVAL),
	"code.ENOSPC": int64(abi.ENOSPC), "code.ERANGE": int64(abi.ERANGE), "code.ENOSYS": int64(abi.ENOSYS), "code.ETIME": int64(abi.ETIME),
	"code.EMSGSIZE": int64(abi.EMSGSIZE),
	"flag.PROMPT":   int64(abi.FlagPrompt), "flag.END": int64(abi.FlagEnd), "flag.REPLAY": int64(abi.FlagReplay), "flag.SPECIAL": int64(abi.FlagSpecial),
	"choice.NONE": int64(abi.ChoiceNone), "choice.PICK": int64(abi.ChoicePick), "choice.EDIT": int64(abi.ChoiceEdit),
	"choice.MASK": int64(abi.ChoiceMask), "choice.KEEP": int64(abi.ChoiceKeep), "choice.BIAS": int64(abi.ChoiceBias),
	"MINOR": abi.Minor, "FRAME_MAGIC": abi.FrameMagic, "FRAME_VERSION": abi.FrameVersion, "HEADER_SIZE": abi.HeaderSize, "ROW_SIZE": abi.RowSize,
	"MAX_VOCAB": abi.MaxVocab, "MAX_DEPTH": abi.MaxDepth,
}

// optionalNumbers are those an SDK may keep to itself.
var optionalNumbers = map[string]int64{
	"feature.HOST_OPS": int64(abi.FeatureHostOps), "feature.VOCAB": int64(abi.FeatureVocab), "feature.REPLAY": int64(abi.FeatureReplay),
	"CANDIDATE_SIZE": abi.CandidateSize,
}

var (
	namespace = regexp.MustCompile(`^(?:pub mod|export namespace) (\w+) \{`)
	number    = regexp.MustCompile(`^\s*(?:pub|export) const (\w+): *\w+ = (-?[0-9a-fx_]+|1 << \d+);`)
)

// Numbers compares the constants of a source in Rust or AssemblyScript with the ABI's.
func Numbers(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	in, seen := "", map[string]bool{}
	for line := range strings.Lines(string(b)) {
		if m := namespace.FindStringSubmatch(line); m != nil {
			in = strings.ToLower(m[1]) + "."
		} else if strings.HasPrefix(line, "}") {
			in = ""
		}
		m := number.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		name := in + m[1]
		if flag, ok := strings.CutPrefix(name, "FLAG_"); ok {
			name = "flag." + flag
		}
		want, known := numbers[name]
		if !known {
			want, known = optionalNumbers[name]
		}
		if got := evaluate(t, m[2]); !known || got != want {
			t.Errorf("%s: %s is %d; the ABI says %d (known %v)", path, name, got, want, known)
		}
		seen[name] = true
	}
	for name := range numbers {
		if !seen[name] {
			t.Errorf("%s: %s is missing", path, name)
		}
	}
}

func evaluate(t *testing.T, s string) int64 {
	t.Helper()
	one, shift, shifted := strings.Cut(s, " << ")
	v, err := strconv.ParseInt(one, 0, 64)
	if err == nil && shifted {
		var by int64
		by, err = strconv.ParseInt(shift, 10, 64)
		v <<= by
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}
