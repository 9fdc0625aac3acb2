package abi

import "strconv"

// Code is a result of a guest or host function: >= 0 is success, a negative one
// is a negated errno. It is an error on its own.
type Code int32

// The errors of the ABI.
const (
	OK       Code = 0
	EPERM    Code = -1  // not allowed
	ENOENT   Code = -2  // no such key, sequence or entry
	EIO      Code = -5  // failed for a reason of its own; see sw_last_error
	E2BIG    Code = -7  // input larger than declared limits
	ENOMEM   Code = -12 // out of memory
	EFAULT   Code = -14 // pointer and length outside memory
	EBUSY    Code = -16 // re-entered
	EINVAL   Code = -22 // malformed argument or configuration
	ENOSPC   Code = -28 // store or buffer full
	ERANGE   Code = -34 // number outside its range
	ENOSYS   Code = -38 // not offered, or not granted
	EMSGSIZE Code = -90 // result larger than allowed
	ETIME    Code = -62 // out of fuel
)

var codeNames = map[Code]string{
	EPERM: "not allowed", ENOENT: "no such entry", EIO: "failed", E2BIG: "input too large",
	ENOMEM: "out of memory", EFAULT: "pointer outside memory", EBUSY: "busy",
	EINVAL: "malformed argument", ENOSPC: "no space", ERANGE: "out of range",
	ENOSYS: "not offered or not granted", EMSGSIZE: "result too large", ETIME: "out of fuel",
}

func (c Code) Error() string {
	if s, ok := codeNames[c]; ok {
		return s + " (" + strconv.Itoa(int(c)) + ")"
	}
	return "code " + strconv.Itoa(int(c))
}

// Pack joins a pointer and a length in bytes into one result. Guest memory is
// capped at 2 GiB, so a packed result is never negative.
func Pack(ptr, n uint32) int64 { return int64(uint64(ptr)<<32 | uint64(n)) }

// Unpack takes a result >= 0 apart; a negative one is a Code.
func Unpack(v int64) (ptr, n uint32) { return uint32(uint64(v) >> 32), uint32(v) }

// Action is a filter's verdict on the pending text.
type Action uint8

// The verdicts. n is the number of pending bytes the verdict consumes.
const (
	ActionPass    Action = 0 // release pending[:n] as it is, hold the rest
	ActionHold    Action = 1 // release nothing yet; n is 0
	ActionReplace Action = 2 // consume n bytes, release sw_out() in their place
	ActionStop    Action = 3 // like replace, then end the answer
)

// PackVerdict is the result of sw_filter: action<<56 | n.
func PackVerdict(a Action, n uint32) int64 { return int64(uint64(a)<<56 | uint64(n)) }

// UnpackVerdict takes a result >= 0 of sw_filter apart. ok is false if bits that
// must be zero are set.
func UnpackVerdict(v int64) (a Action, n uint32, ok bool) {
	return Action(uint64(v) >> 56), uint32(v), uint64(v)>>32&0xffffff == 0
}

// Flags of sw_filter, sw_encode and sw_decode.
const (
	FlagPrompt uint32 = 1 << 0 // filter: the text is the user's prompt
	FlagEnd    uint32 = 1 << 1 // filter: nothing follows; decide about all of it
	// FlagReplay hands a filter text it has already judged, after its memory was
	// reset: it rebuilds its state; the verdict is ignored.
	FlagReplay uint32 = 1 << 2

	FlagSpecial uint32 = 1 << 0 // encode, decode: control tokens in text form
)

// Choice is what a sampler did with a row (Row.Action).
type Choice uint32

// The choices. Each is allowed only in the modes named.
const (
	ChoiceNone Choice = 0 // nothing changed
	ChoicePick Choice = 1 // Row.Token is the next token (all modes)
	ChoiceEdit Choice = 2 // dense: logits edited in place; candidates: only the list remains
	ChoiceMask Choice = 3 // mask, dense: tokens without a bit are excluded, then as ChoiceBias
	ChoiceKeep Choice = 4 // candidates: the list is edited, other tokens keep their logits
	// ChoiceBias adds to the logits of the tokens listed at Row.OutOff: entries
	// like candidates, whose logit is the summand; -Inf excludes a token. The
	// guest needs no logits for it, so it is cheapest in mask mode.
	ChoiceBias Choice = 5
)
