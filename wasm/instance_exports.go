package wasm

import "github.com/sandwarp/sandwarp/abi"

// export numbers the guest's functions.
type export uint8

const (
	fnAlloc export = iota
	fnFree
	fnConfigure
	fnLastError
	fnFrame
	fnSeqOpen
	fnSeqClose
	fnSeqFork
	fnSeqRollback
	fnPlan
	fnSample
	fnAccept
	fnEncode
	fnDecode
	fnFilter
	fnOut
	fnCount
)

var exportNames = [fnCount]string{
	abi.ExportAlloc, abi.ExportFree, abi.ExportConfigure, abi.ExportLastError, abi.ExportFrame,
	abi.ExportSeqOpen, abi.ExportSeqClose, abi.ExportSeqFork, abi.ExportSeqRollback,
	abi.ExportPlan, abi.ExportSample, abi.ExportAccept, abi.ExportEncode, abi.ExportDecode,
	abi.ExportFilter, abi.ExportOut,
}

func (e export) String() string { return exportNames[e] }

// fn is an export of the guest, nil if it has none of the name. Engines keep a
// stack for each function that was looked up, so that happens when it is needed.
func (in *instance) fn(e export) Func {
	if f := in.funcs[e]; f != nil {
		return f
	}
	if in.raw == nil || !in.p.has[e] {
		return nil
	}
	in.funcs[e] = in.raw.Func(exportNames[e])
	return in.funcs[e]
}
