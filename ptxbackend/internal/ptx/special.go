package ptx

import (
	"strconv"
	"strings"
)

// specials are the special registers known here. Source: PTX ISA, section
// "Special Registers".
var specials = map[string]Type{
	"%tid.x": U32, "%tid.y": U32, "%tid.z": U32, "%ntid.x": U32, "%ntid.y": U32, "%ntid.z": U32,
	"%ctaid.x": U32, "%ctaid.y": U32, "%ctaid.z": U32, "%nctaid.x": U32, "%nctaid.y": U32, "%nctaid.z": U32,
	"%laneid": U32, "%warpid": U32, "%nwarpid": U32, "%smid": U32, "%nsmid": U32, "%gridid": U64,
	"%lanemask_eq": U32, "%lanemask_le": U32, "%lanemask_lt": U32, "%lanemask_ge": U32, "%lanemask_gt": U32,
	"%clock": U32, "%clock_hi": U32, "%clock64": U64,
	"%globaltimer": U64, "%globaltimer_lo": U32, "%globaltimer_hi": U32,
	"%dynamic_smem_size": U32, "%total_smem_size": U32,
}

// SpecialType is the type of a special register and whether it is known.
func SpecialType(name string) (Type, bool) {
	t, ok := specials[name]
	return t, ok
}

// capability is the compute capability a target is written for, major*10+minor; 0
// where the name is none.
func (t Target) capability() int {
	digits := strings.TrimPrefix(t.Arch, "sm_")
	n, err := strconv.ParseUint(strings.TrimRight(digits, "af"), 10, 16)
	if err != nil || len(digits) == len(t.Arch) || len(digits) > 4 {
		return 0
	}
	return int(n)
}
