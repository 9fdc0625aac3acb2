package ptx

import (
	"fmt"
	"strings"
)

// grammar lists the instructions that are known, a line each:
//
//	names  modifiers : operands @version/capability
//
// A modifier is a choice a|b, with ? one that may be missing; capitals stand for
// the choices below. Operands are given by role and type: d a destination register,
// s a register or a number (within the range after /), r a register, i a number of a
// range, a an address of a space (without one, the space in the instruction), D4 and
// l4 lists of 4 registers, D and L what a load or store moves, dp and p predicates. A type is a name, or n for the nth type in the instruction, wn for
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
bfe u32|s32|u64|s64                    : d:1 s:1 s:u32/0-255 s:u32/0-255
bfi b32|b64                            : d:1 s:1 s:1 s:u32/0-255 s:u32/0-255
prmt b32                               : d:b32 s:b32 s:b32 s:b32
prmt b32 f4e|b4e|rc8|ecl|ecr|rc16      : d:b32 s:b32 s:b32 s:b32
popc,clz b32|b64                       : d:u32 s:1
brev b32|b64                           : d:1 s:1
bfind u32|s32|u64|s64                  : d:u32 s:1
dp4a u32|s32 u32|s32                   : d:u32 s:u32 s:u32 s:u32
dp2a lo|hi u32|s32 u32|s32             : d:u32 s:u32 s:u32 s:u32
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
movmatrix sync aligned m8n8 trans b16  : d:b32 r:b32 @7.8/75
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
redux sync and|or|xor b32              : d:1 s:u32 s:u32 @7.0/80
membar cta|gl|sys                      :
fence sc|acq_rel? SCOPE                : @6.0/70
fence mbarrier_init release cluster    : @8.0/90
fence proxy alias                      : @7.5/70
fence proxy async                      : @8.0/90
fence proxy async global|shared::cta|shared::cluster : @8.0/90
cp async ca shared global FETCH?       : a:shared a:global i:4|8|16 fill? @7.0/80
cp async cg shared global FETCH?       : a:shared a:global i:16 fill? @7.0/80
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
mbarrier init SHARED? b64              : a s:u32/1-1048575 @7.0/80
mbarrier inval SHARED? b64             : a @7.0/80
mbarrier arrive SHARED? b64            : d:b64 a @7.0/80
mbarrier arrive SHARED? b64            : d:b64 a s:u32/1-1048575 @7.8/90
mbarrier arrive release cta SHARED? b64 : d:b64 a s:u32/1-1048575? @8.0/90
mbarrier arrive expect_tx SHARED? b64  : d:b64 a s:u32 @8.0/90
mbarrier arrive expect_tx release cta SHARED? b64 : d:b64 a s:u32 @8.0/90
mbarrier expect_tx relaxed cta SHARED? b64 : a s:u32 @8.0/90
mbarrier test_wait SHARED? b64         : dp a s:b64 @7.0/80
mbarrier test_wait parity SHARED? b64  : dp a s:u32/0-1 @7.1/80
mbarrier try_wait SHARED? b64          : dp a s:b64 s:u32? @7.8/90
mbarrier try_wait parity SHARED? b64   : dp a s:u32/0-1 s:u32? @7.8/90
mbarrier try_wait parity acquire cta SHARED? b64 : dp a s:u32/0-1 s:u32? @8.0/90
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
