package ptx

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// grammar lists the instructions that are known, a line each:
//
//	names  modifiers : operands @version/capability
//
// A modifier is a choice a|b, with ? one that may be missing; capitals stand for
// the choices below. Operands are given by role and type: d a destination register,
// s a register or a number, i a number of a range, a an address of a space (without
// one, the space in the instruction), D and L a destination, l a list, p and dp
// predicates. A type is a name, or n for the nth type in the instruction, wn for
// one twice as wide, cn for registers that may be wider; ? marks an operand that
// may be missing. Version and capability are those that first had the form; 90a is
// the one target that has it. Source: PTX ISA, chapter "Instruction Set", checked
// against ptxas by TestTableAssembles.
const grammar = `
add,sub INT                            : d:1 s:1 s:1
add,sub sat s32                        : d:1 s:1 s:1
add,sub RND? ftz? sat? f32             : d:1 s:1 s:1
add,sub RND? f64                       : d:1 s:1 s:1
add,sub rn? ftz? sat? f16|f16x2        : d:1 s:1 s:1
add,sub rn? bf16|bf16x2                : d:1 s:1 s:1 @7.8/90
mul lo|hi INT                          : d:1 s:1 s:1
mul wide u16|s16|u32|s32               : d:w1 s:1 s:1
mul RND? ftz? sat? f32                 : d:1 s:1 s:1
mul RND? f64                           : d:1 s:1 s:1
mul rn? ftz? sat? f16|f16x2            : d:1 s:1 s:1
mul rn? bf16|bf16x2                    : d:1 s:1 s:1 @7.8/90
mad lo|hi INT                          : d:1 s:1 s:1 s:1
mad hi sat s32                         : d:1 s:1 s:1 s:1
mad wide u16|s16|u32|s32               : d:w1 s:1 s:1 s:w1
mad,fma RND ftz? sat? f32              : d:1 s:1 s:1 s:1
mad,fma RND f64                        : d:1 s:1 s:1 s:1
fma rn ftz? sat? f16|f16x2             : d:1 s:1 s:1 s:1
fma rn ftz? relu f16|f16x2             : d:1 s:1 s:1 s:1 @7.0/80
fma rn relu? bf16|bf16x2               : d:1 s:1 s:1 s:1 @7.0/80
div,rem INT                            : d:1 s:1 s:1
div approx|full ftz? f32               : d:1 s:1 s:1
div RND ftz? f32                       : d:1 s:1 s:1
div RND f64                            : d:1 s:1 s:1
min,max INT                            : d:1 s:1 s:1
min,max ftz? f32                       : d:1 s:1 s:1
min,max ftz? NaN f32                   : d:1 s:1 s:1 @7.0/80
min,max f64                            : d:1 s:1 s:1
min,max ftz? NaN? f16|f16x2            : d:1 s:1 s:1 @7.0/80
min,max NaN? bf16|bf16x2               : d:1 s:1 s:1 @7.0/80
neg,abs s16|s32|s64                    : d:1 s:1
neg,abs ftz? f32|f16|f16x2             : d:1 s:1
neg,abs f64                            : d:1 s:1
neg,abs bf16|bf16x2                    : d:1 s:1 @7.0/80
sad INT                                : d:1 s:1 s:1 s:1
sqrt,rcp approx ftz? f32               : d:1 s:1
sqrt,rcp RND ftz? f32                  : d:1 s:1
sqrt,rcp RND f64                       : d:1 s:1
rsqrt approx ftz? f32                  : d:1 s:1
rsqrt approx f64                       : d:1 s:1
ex2,lg2,sin,cos approx ftz? f32        : d:1 s:1
ex2 approx f16|f16x2                   : d:1 s:1 @7.0/75
ex2 approx ftz bf16|bf16x2             : d:1 s:1 @7.8/90
tanh approx f32|f16|f16x2              : d:1 s:1 @7.0/75
tanh approx bf16|bf16x2                : d:1 s:1 @7.8/90
copysign f32|f64                       : d:1 s:1 s:1
and,or,xor pred|BITS                   : d:1 s:1 s:1
not pred|BITS                          : d:1 s:1
shl BITS                               : d:1 s:1 s:u32
shr BITS|INT                           : d:1 s:1 s:u32
shf l|r clamp|wrap b32                 : d:b32 s:b32 s:b32 s:u32
lop3 b32                               : d:b32 s:b32 s:b32 s:b32 i:0-255
bfe u32|s32|u64|s64                    : d:1 s:1 s:u32 s:u32
bfi b32|b64                            : d:1 s:1 s:1 s:u32 s:u32
prmt b32                               : d:b32 s:b32 s:b32 s:b32
prmt b32 f4e|b4e|rc8|ecl|ecr|rc16      : d:b32 s:b32 s:b32 s:b32
popc,clz b32|b64                       : d:u32 s:1
brev b32|b64                           : d:1 s:1
bfind u32|s32|u64|s64                  : d:u32 s:1
dp4a u32|s32 u32|s32                   : d:b32 s:b32 s:b32 s:b32
dp2a lo|hi u32|s32 u32|s32             : d:b32 s:b32 s:b32 s:b32
mov pred|BITS|INT|f32|f64              : mov
cvta to? global|shared|local|const u64 : d:u64 s:u64
setp eq|ne BITS|INT                    : dp s:1 s:1
setp lt|le|gt|ge INT                   : dp s:1 s:1
setp lo|ls|hi|hs u16|u32|u64           : dp s:1 s:1
setp FCMP ftz? f32|f16                 : dp s:1 s:1
setp FCMP f64                          : dp s:1 s:1
setp FCMP bf16                         : dp s:1 s:1 @7.8/90
setp eq|ne BOOL BITS|INT               : dp s:1 s:1 p
setp lt|le|gt|ge BOOL INT              : dp s:1 s:1 p
setp FCMP BOOL ftz? f32                : dp s:1 s:1 p
set eq|ne|lt|le|gt|ge u32|s32|f32 u32|s32 : d:1 s:2 s:2
set FCMP ftz? u32|s32|f32 f32          : d:1 s:2 s:2
set FCMP ftz? f16x2 f16x2              : d:1 s:2 s:2
selp BITS|INT|f32|f64                  : d:1 s:1 s:1 p
cvt INT8 INT8                          : d:c1 s:c2
cvt sat u8|s8 INT                      : d:c1 s:c2
cvt RNDI ftz? sat? INT8 f32|f16        : d:c1 s:2
cvt RNDI sat? INT8 f64                 : d:c1 s:2
cvt RNDI INT bf16                      : d:1 s:2 @7.8/90
cvt RND sat? f32|f64|f16 INT8          : d:1 s:c2
cvt RND bf16 INT                       : d:1 s:2 @7.8/90
cvt RND ftz? sat? f16 f32              : d:1 s:2
cvt RND sat? f16|f32 f64               : d:1 s:2
cvt ftz? sat? f32 f16                  : d:1 s:2
cvt sat? f64 f16|f32                   : d:1 s:2
cvt RNDI? ftz? sat? f32 f32            : d:1 s:2
cvt rn|rz relu? bf16 f32               : d:1 s:2 @7.0/80
cvt f32 bf16                           : d:1 s:2 @7.1/80
cvt rn|rz relu? f16x2|bf16x2 f32       : d:1 s:2 s:2 @7.0/80
ld weak? SPACE? LCOP? VEC? MEM         : D:1 a
ld weak? global? LCOP? FETCH VEC? MEM  : D:1 a
ld weak? global? EVICT FETCH? VEC? MEM : D:1 a
ld volatile global|shared? VEC? MEM    : D:1 a
ld relaxed|acquire SCOPE global|shared? VEC? MEM : D:1 a
ld relaxed|acquire SCOPE global? EVICT? FETCH? VEC? MEM : D:1 a
ld global ca|cg|cs? nc FETCH? VEC? MEM : D:1 a
ld global nc EVICT FETCH? VEC? MEM     : D:1 a
st weak? WSPACE? SCOP? VEC? MEM        : a L:1
st weak? global? EVICT VEC? MEM        : a L:1
st volatile global|shared? VEC? MEM    : a L:1
st relaxed|release SCOPE global|shared? VEC? MEM : a L:1
st relaxed|release SCOPE global? EVICT VEC? MEM : a L:1
atom SEM? SCOPE? global|shared? and|or|xor|exch b32|b64 : d:1 a s:1
atom SEM? SCOPE? global|shared? cas b16|b32|b64 : d:1 a s:1 s:1
atom SEM? SCOPE? global|shared? add u32|s32|u64|f32|f64 : d:1 a s:1
atom SEM? SCOPE? global|shared? inc|dec u32 : d:1 a s:1
atom SEM? SCOPE? global|shared? min|max u32|s32|u64|s64 : d:1 a s:1
atom SEM? SCOPE? global|shared? add noftz f16|f16x2 : d:1 a s:1
atom SEM? SCOPE? global|shared? add noftz bf16|bf16x2 : d:1 a s:1 @7.8/90
red relaxed|release? SCOPE? global|shared? and|or|xor b32|b64 : a s:1
red relaxed|release? SCOPE? global|shared? add u32|s32|u64|f32|f64 : a s:1
red relaxed|release? SCOPE? global|shared? inc|dec u32 : a s:1
red relaxed|release? SCOPE? global|shared? min|max u32|s32|u64|s64 : a s:1
red relaxed|release? SCOPE? global|shared? add noftz f16|f16x2 : a s:1
red relaxed|release? SCOPE? global|shared? add noftz bf16|bf16x2 : a s:1 @7.8/90
prefetch global L1|L2                  : a
ldmatrix sync aligned m8n8 x1 trans? shared b16 : D1:b32 a @6.5/75
ldmatrix sync aligned m8n8 x2 trans? shared b16 : D2:b32 a @6.5/75
ldmatrix sync aligned m8n8 x4 trans? shared b16 : D4:b32 a @6.5/75
stmatrix sync aligned m8n8 x1 trans? shared b16 : a l1:b32 @7.8/90
stmatrix sync aligned m8n8 x2 trans? shared b16 : a l2:b32 @7.8/90
stmatrix sync aligned m8n8 x4 trans? shared b16 : a l4:b32 @7.8/90
movmatrix sync aligned m8n8 trans b16  : d:b32 s:b32 @7.8/75
mma sync aligned m16n8k16 row col f32 f16 f16 f32 : D4:f32 l4:b32 l2:b32 l4:f32 @7.0/80
mma sync aligned m16n8k16 row col f16 f16 f16 f16 : D2:b32 l4:b32 l2:b32 l2:b32 @7.0/80
mma sync aligned m16n8k16 row col f32 bf16 bf16 f32 : D4:f32 l4:b32 l2:b32 l4:f32 @7.0/80
mma sync aligned m16n8k8 row col f32 f16 f16 f32 : D4:f32 l2:b32 l1:b32 l4:f32 @6.5/75
mma sync aligned m16n8k8 row col f16 f16 f16 f16 : D2:b32 l2:b32 l1:b32 l2:b32 @6.5/75
mma sync aligned m16n8k8 row col f32 bf16 bf16 f32 : D4:f32 l2:b32 l1:b32 l4:f32 @7.0/80
mma sync aligned m16n8k16 row col satfinite? s32 s8|u8 s8|u8 s32 : D4:s32 l2:b32 l1:b32 l4:s32 @7.0/80
mma sync aligned m16n8k32 row col satfinite? s32 s8|u8 s8|u8 s32 : D4:s32 l4:b32 l2:b32 l4:s32 @7.0/80
bra uni?                               : label
ret uni?                               :
exit                                   :
trap                                   :
brkpt                                  :
bar,barrier sync                  : bar count?
bar,barrier arrive                : bar count
barrier sync aligned              : bar count?
barrier arrive aligned            : bar count
bar,barrier red popc u32          : d:u32 bar p
bar,barrier red and|or pred       : dp bar p
bar warp sync                          : s:u32
barrier cluster arrive release|relaxed? aligned? : @7.8/90
barrier cluster wait acquire? aligned? : @7.8/90
shfl sync up|down|bfly|idx b32         : d:b32 s:b32 s:u32 s:u32 s:u32
vote sync all|any|uni pred             : dp p s:u32
vote sync ballot b32                   : d:b32 p s:u32
match any sync b32|b64                 : d:b32 s:1 s:u32 @6.0/70
activemask b32                         : d:b32 @6.2/30
redux sync add|min|max s32|u32         : d:1 s:1 s:u32 @7.0/80
redux sync and|or|xor b32              : d:1 s:1 s:u32 @7.0/80
membar cta|gl|sys                      :
fence sc|acq_rel? SCOPE                : @6.0/70
fence mbarrier_init release cluster    : @8.0/90
fence proxy alias                      : @7.5/70
fence proxy async                      : @8.0/90
fence proxy async global|shared::cta|shared::cluster : @8.0/90
cp async ca shared global FETCH?       : a:shared a:global i:4|8|16 s:u32? @7.0/80
cp async cg shared global FETCH?       : a:shared a:global i:16 s:u32? @7.0/80
cp async commit_group                  : @7.0/80
cp async wait_group                    : i:0-1000 @7.0/80
cp async wait_all                      : @7.0/80
cp async mbarrier arrive noinc? SHARED? b64 : a @7.0/80
cp async bulk shared::cluster global mbarrier::complete_tx::bytes : a:shared a:global bulk a:shared @8.0/90
cp async bulk shared::cluster global mbarrier::complete_tx::bytes L2::cache_hint : a:shared a:global bulk a:shared s:b64 @8.0/90
cp async bulk global shared::cta bulk_group : a:global a:shared bulk @8.0/90
cp async bulk prefetch L2 global       : a:global bulk @8.0/90
cp async bulk commit_group             : @8.0/90
cp async bulk wait_group read?         : i:0-1000 @8.0/90
createpolicy fractional L2::evict_last|L2::evict_normal|L2::evict_first|L2::evict_unchanged b64 : d:b64 s:f32? @7.4/80
mbarrier init SHARED? b64              : a s:u32 @7.0/80
mbarrier inval SHARED? b64             : a @7.0/80
mbarrier arrive SHARED? b64            : d:b64 a @7.0/80
mbarrier arrive SHARED? b64            : d:b64 a s:u32 @7.8/90
mbarrier arrive release cta SHARED? b64 : d:b64 a s:u32? @8.0/90
mbarrier arrive expect_tx SHARED? b64  : d:b64 a s:u32 @8.0/90
mbarrier arrive expect_tx release cta SHARED? b64 : d:b64 a s:u32 @8.0/90
mbarrier expect_tx relaxed cta SHARED? b64 : a s:u32 @8.0/90
mbarrier test_wait SHARED? b64         : dp a s:b64 @7.0/80
mbarrier test_wait parity SHARED? b64  : dp a s:u32 @7.1/80
mbarrier try_wait SHARED? b64          : dp a s:b64 s:u32? @7.8/90
mbarrier try_wait parity SHARED? b64   : dp a s:u32 s:u32? @7.8/90
mbarrier try_wait parity acquire cta SHARED? b64 : dp a s:u32 s:u32? @8.0/90
wgmma fence sync aligned               : @8.0/90a
wgmma commit_group sync aligned        : @8.0/90a
wgmma wait_group sync aligned          : i:0-7 @8.0/90a
wgmma mma_async sync aligned WGSHAPE f32|f16 f16 f16 : wgmma @8.0/90a
wgmma mma_async sync aligned WGSHAPE f32 bf16 bf16 : wgmma @8.0/90a
griddepcontrol wait|launch_dependents  : @7.8/90
setmaxnreg inc|dec sync aligned u32    : maxnreg @8.0/90a
nanosleep u32                          : s:u32 @6.3/70
`

// choices are what the capitals in the grammar stand for.
var choices = map[string]string{
	"INT": "s16|u16|s32|u32|s64|u64", "INT8": "s8|u8|s16|u16|s32|u32|s64|u64", "BITS": "b16|b32|b64",
	"MEM": "b8|b16|b32|b64|s8|u8|s16|u16|s32|u32|s64|u64|f32|f64",
	"RND": "rn|rz|rm|rp", "RNDI": "rni|rzi|rmi|rpi", "BOOL": "and|or|xor",
	"FCMP":  "eq|ne|lt|le|gt|ge|equ|neu|ltu|leu|gtu|geu|num|nan",
	"SPACE": "const|global|local|param|shared|shared::cta|shared::cluster", "WSPACE": "global|local|shared|shared::cta|shared::cluster",
	"SHARED": "shared|shared::cta", "VEC": "v2|v4", "LCOP": "ca|cg|cs|lu|cv", "SCOP": "wb|cg|cs|wt",
	"EVICT": "L1::evict_normal|L1::evict_unchanged|L1::evict_first|L1::evict_last|L1::no_allocate",
	"FETCH": "L2::64B|L2::128B|L2::256B",
	"SEM":   "relaxed|acquire|release|acq_rel", "SCOPE": "cta|cluster|gpu|sys", "WGSHAPE": wgmmaShapes(),
}

func wgmmaShapes() string {
	var shapes []string
	for n := 8; n <= 256; n += 8 {
		shapes = append(shapes, fmt.Sprintf("m64n%dk16", n))
	}
	return strings.Join(shapes, "|")
}

// since are modifiers that came later than the instructions they modify.
var since = map[string]gate{
	"shared::cta": {78, 30, ""}, "shared::cluster": {78, 90, ""}, "cluster": {78, 90, ""},
	"L1::evict_normal": {74, 70, ""}, "L1::evict_unchanged": {74, 70, ""}, "L1::evict_first": {74, 70, ""},
	"L1::evict_last": {74, 70, ""}, "L1::no_allocate": {74, 70, ""},
	"L2::64B": {74, 75, ""}, "L2::128B": {74, 75, ""}, "L2::256B": {74, 80, ""}, "L2::cache_hint": {74, 80, ""},
}

// gate is where something is available: from a version, on a capability, or on one
// target only.
type gate struct {
	version, capability int
	arch                string
}

// rule is a form of an instruction.
type rule struct {
	name  string
	mods  []slot
	roles []role
	gate  gate
}

// slot is a place in an instruction's name.
type slot struct {
	choice   []string
	optional bool
}

// role is an operand a rule wants.
type role struct {
	kind     string // "d", "s", "i", "a", "D", "L", "l", "p", "dp", "label", "mov", ...
	count    int    // of a list of fixed length
	typ      Type   // NoType where it is one of the instruction's
	nth      int    // from 1
	wide     bool   // twice as wide
	atLeast  bool   // or wider
	space    Space  // of an address; Generic for the instruction's
	values   []int64
	optional bool
}

// rules are the grammar's, by the instruction's first word.
var rules = sync.OnceValue(func() map[string][]*rule {
	table := map[string][]*rule{}
	for _, line := range strings.Split(strings.TrimSpace(grammar), "\n") {
		head, operands, ok := strings.Cut(line, " :")
		words := strings.Fields(head)
		if !ok || len(words) == 0 {
			panic("ptx: grammar: " + line)
		}
		r := rule{}
		for _, w := range words[1:] {
			r.mods = append(r.mods, parseSlot(w))
		}
		for _, w := range strings.Fields(operands) {
			if w[0] == '@' {
				r.gate = parseGate(w[1:])
			} else {
				r.roles = append(r.roles, parseRole(w))
			}
		}
		for _, name := range strings.Split(words[0], ",") {
			one := r
			one.name = name
			table[name] = append(table[name], &one)
		}
	}
	return table
})

func parseSlot(w string) slot {
	s := slot{optional: strings.HasSuffix(w, "?")}
	for _, c := range strings.Split(strings.TrimSuffix(w, "?"), "|") {
		if set, ok := choices[c]; ok {
			s.choice = append(s.choice, strings.Split(set, "|")...)
		} else {
			s.choice = append(s.choice, c)
		}
	}
	return s
}

// parseGate reads 7.0/80 or 8.0/90a.
func parseGate(w string) gate {
	version, capability, _ := strings.Cut(w, "/")
	major, minor, _ := strings.Cut(version, ".")
	a, err1 := strconv.Atoi(major)
	b, err2 := strconv.Atoi(minor)
	c, err3 := strconv.Atoi(strings.TrimSuffix(capability, "a"))
	if err1 != nil || err2 != nil || err3 != nil {
		panic("ptx: grammar: " + w)
	}
	g := gate{version: a*10 + b, capability: c}
	if strings.HasSuffix(capability, "a") {
		g.arch = "sm_" + capability
	}
	return g
}

// parseRole reads d:1, D4:f32, i:0-255, a:shared and the like.
func parseRole(w string) role {
	r := role{optional: strings.HasSuffix(w, "?")}
	kind, what, _ := strings.Cut(strings.TrimSuffix(w, "?"), ":")
	r.kind = strings.TrimRight(kind, "0123456789")
	r.count, _ = strconv.Atoi(kind[len(r.kind):])
	switch r.kind {
	case "i":
		low, high, isRange := strings.Cut(what, "-")
		for _, n := range strings.Split(what, "|") {
			if isRange {
				break
			}
			v, _ := strconv.Atoi(n)
			r.values = append(r.values, int64(v))
		}
		if isRange {
			a, _ := strconv.Atoi(low)
			b, _ := strconv.Atoi(high)
			for v := a; v <= b; v++ {
				r.values = append(r.values, int64(v))
			}
		}
		return r
	case "a":
		switch what {
		case "shared":
			r.space = Shared
		case "global":
			r.space = Global
		}
		return r
	}
	switch {
	case what == "":
	case isDigit(what[0]):
		r.nth, _ = strconv.Atoi(what)
	case what[0] == 'w' || what[0] == 'c':
		r.wide, r.atLeast = what[0] == 'w', what[0] == 'c'
		r.nth, _ = strconv.Atoi(what[1:])
	default:
		t, ok := ParseType(what)
		if !ok {
			panic("ptx: grammar: " + w)
		}
		r.typ = t
	}
	return r
}

// form is an instruction as a rule reads it.
type form struct {
	rule  *rule
	parts []string // of the name
	types []Type   // in the name
	space Space    // in the name
	vec   int      // 1, 2 or 4
	defs  []Reg
	uses  []Reg
}

// match reads the name of an instruction with args operands by the rules. Where
// none fits, err says what is unknown about it.
func match(op string, args int) (*form, error) {
	parts := strings.Split(op, ".")
	candidates := rules()[parts[0]]
	if candidates == nil {
		return nil, fmt.Errorf("unknown instruction %s", parts[0])
	}
	far := 1
	var named *rule
	for _, r := range candidates {
		n, ok := r.matches(parts)
		if ok && r.takes(args) {
			return newForm(r, parts), nil
		}
		if ok && named == nil {
			named = r
		}
		far = max(far, n)
	}
	if named != nil { // the number of operands is wrong, which they say when checked
		return newForm(named, parts), nil
	}
	if far < len(parts) {
		return nil, fmt.Errorf("%s has no .%s there", strings.Join(parts[:far], "."), parts[far])
	}
	return nil, fmt.Errorf("%s is not complete", op)
}

// matches reports whether the modifiers fit, and how far they do.
func (r *rule) matches(parts []string) (far int, ok bool) {
	at := 1
	for _, s := range r.mods {
		if at < len(parts) && s.has(parts[at]) {
			at++
		} else if !s.optional {
			return at, false
		}
	}
	return at, at == len(parts)
}

// takes reports whether the rule can have n operands.
func (r *rule) takes(n int) bool {
	least := 0
	for _, o := range r.roles {
		if !o.optional {
			least++
		}
	}
	return least <= n && n <= len(r.roles)
}

func (s slot) has(part string) bool {
	for _, c := range s.choice {
		if c == part {
			return true
		}
	}
	return false
}

func newForm(r *rule, parts []string) *form {
	f := &form{rule: r, parts: parts, vec: 1}
	for _, p := range parts[1:] {
		if t, ok := ParseType(p); ok {
			f.types = append(f.types, t)
		}
		switch p {
		case "v2":
			f.vec = 2
		case "v4":
			f.vec = 4
		case "global":
			f.space = Global
		case "shared", "shared::cta", "shared::cluster":
			f.space = Shared
		case "const":
			f.space = Const
		case "param":
			f.space = ParamSpace
		case "local":
			f.space = Local
		}
	}
	return f
}

// has reports whether a modifier is in the instruction's name.
func (f *form) has(part string) bool {
	for _, p := range f.parts {
		if p == part {
			return true
		}
	}
	return false
}
