package plan

import "fmt"

// form says how a kind of step is put together: how many values it reads and
// writes, and which weights it must (need) and may (may) have.
type form struct {
	name    string
	in, out int
	need    []Role
	may     []Role
	cache   bool // touches the KV cache of a layer
}

var forms = [NumKinds]form{
	Embed:      {name: "Embed", out: 1, need: []Role{WEmbed}},
	RMSNorm:    {name: "RMSNorm", in: 1, out: 1, need: []Role{WNorm}},
	HeadNorm:   {name: "HeadNorm", in: 1, out: 1, need: []Role{WNorm}},
	Linear:     {name: "Linear", in: 1, out: 1, need: []Role{WMat}, may: []Role{WBias}},
	Rope:       {name: "Rope", in: 1, out: 1},
	AppendKV:   {name: "AppendKV", in: 2, cache: true},
	Attention:  {name: "Attention", in: 1, out: 1, cache: true},
	Add:        {name: "Add", in: 2, out: 1},
	SiLUMul:    {name: "SiLUMul", in: 2, out: 1},
	SelectRows: {name: "SelectRows", in: 1, out: 1},
	Logits:     {name: "Logits", in: 1, need: []Role{WMat}},
	Receive:    {name: "Receive", out: 1},
	Send:       {name: "Send", in: 1},

	NormQKVRopeAppend: {name: "NormQKVRopeAppend", in: 1, out: 1, cache: true,
		need: []Role{WNorm, WQ, WK, WV}, may: []Role{BQ, BK, BV, QNorm, KNorm}},
	OutResidual:   {name: "OutResidual", in: 2, out: 1, need: []Role{WO}, may: []Role{BO}},
	NormGateUpAct: {name: "NormGateUpAct", in: 1, out: 1, need: []Role{WNorm, WGate, WUp}},
	DownResidual:  {name: "DownResidual", in: 2, out: 1, need: []Role{WDown}},
	LMHead:        {name: "LMHead", in: 1, need: []Role{WNorm, WMat}},
}

func (k Kind) valid() bool { return k > KindNone && k < NumKinds }

// ends reports whether a step of this kind is the last of its plan.
func (k Kind) ends() bool { return k == Logits || k == LMHead || k == Send }

// Large reports whether the kind is one of those Fuse makes.
func (k Kind) Large() bool { return k >= NormQKVRopeAppend && k < NumKinds }

func (k Kind) String() string {
	if k.valid() {
		return forms[k].name
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

var roleNames = [NumRoles]string{
	WNorm: "norm", WMat: "mat", WBias: "bias", WEmbed: "embed",
	WQ: "q", WK: "k", WV: "v", BQ: "q.bias", BK: "k.bias", BV: "v.bias", QNorm: "q.norm", KNorm: "k.norm",
	WO: "o", BO: "o.bias", WGate: "gate", WUp: "up", WDown: "down",
}

func (r Role) String() string {
	if r < NumRoles {
		return roleNames[r]
	}
	return fmt.Sprintf("Role(%d)", uint8(r))
}
