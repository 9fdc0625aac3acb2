package wasm

import (
	"encoding/binary"
	"fmt"
)

// wasiModule is what Go and C guests import from their standard library. The
// plugin sees no files, arguments or environment, a virtual clock and seeded
// random numbers; what it prints goes to the log.
const wasiModule = "wasi_snapshot_preview1"

// WASI error numbers.
const (
	wasiOK      = 0
	wasiBadFD   = 8
	wasiFault   = 21
	wasiInvalid = 28
	wasiNoSys   = 52
)

// wasiFuncs are the functions that do something; all others return ENOSYS.
var wasiFuncs = map[string]hostFunc{
	"args_get":          {[]byte{i32, i32}, []byte{i32}, wasiNothing},
	"args_sizes_get":    {[]byte{i32, i32}, []byte{i32}, wasiNone},
	"environ_get":       {[]byte{i32, i32}, []byte{i32}, wasiNothing},
	"environ_sizes_get": {[]byte{i32, i32}, []byte{i32}, wasiNone},
	"clock_time_get":    {[]byte{i32, i64, i32}, []byte{i32}, wasiClock},
	"fd_close":          {[]byte{i32}, []byte{i32}, wasiStdOnly},
	"fd_fdstat_get":     {[]byte{i32, i32}, []byte{i32}, wasiStat},
	"fd_prestat_get":    {[]byte{i32, i32}, []byte{i32}, wasiNoFD},
	"fd_write":          {[]byte{i32, i32, i32, i32}, []byte{i32}, wasiWrite},
	"poll_oneoff":       {[]byte{i32, i32, i32, i32}, []byte{i32}, wasiPoll},
	"proc_exit":         {[]byte{i32}, nil, wasiExit},
	"random_get":        {[]byte{i32, i32}, []byte{i32}, wasiRandom},
	"sched_yield":       {nil, []byte{i32}, wasiNothing},
}

func wasiNothing(in *instance, s []uint64) {
	s[0] = wasiOK
}

func wasiNoFD(in *instance, s []uint64) {
	s[0] = wasiBadFD
}

// put stores v as n bytes at ptr.
func (in *instance) put(ptr uint64, n uint32, v uint64) bool {
	b, ok := in.mem(uint32(ptr), n)
	if ok {
		var w [8]byte
		binary.LittleEndian.PutUint64(w[:], v)
		copy(b, w[:])
	}
	return ok
}

// wasiNone reports zero entries of zero bytes.
func wasiNone(in *instance, s []uint64) {
	if in.put(s[0], 4, 0) && in.put(s[1], 4, 0) {
		s[0] = wasiOK
		return
	}
	s[0] = wasiFault
}

func wasiClock(in *instance, s []uint64) {
	in.clock += 1000
	if !in.put(s[2], 8, in.clock) {
		s[0] = wasiFault
		return
	}
	s[0] = wasiOK
}

func wasiStdOnly(in *instance, s []uint64) {
	if uint32(s[0]) > 2 {
		s[0] = wasiBadFD
		return
	}
	s[0] = wasiOK
}

// wasiStat calls the three standard streams character devices without rights.
func wasiStat(in *instance, s []uint64) {
	if uint32(s[0]) > 2 {
		s[0] = wasiBadFD
		return
	}
	b, ok := in.mem(uint32(s[1]), 24)
	if !ok {
		s[0] = wasiFault
		return
	}
	clear(b)
	b[0] = 2
	s[0] = wasiOK
}

func wasiWrite(in *instance, s []uint64) {
	fd, n := uint32(s[0]), uint32(s[2])
	vec, ok := in.mem(uint32(s[1]), min(n, 1024)*8)
	if fd != 1 && fd != 2 {
		s[0] = wasiBadFD
		return
	}
	if !ok || n > 1024 {
		s[0] = wasiInvalid
		return
	}
	in.charge(10 * uint64(n))
	var line []byte
	total := uint64(0)
	for ; len(vec) > 0; vec = vec[8:] {
		part, ok := in.mem(binary.LittleEndian.Uint32(vec), binary.LittleEndian.Uint32(vec[4:]))
		if !ok {
			s[0] = wasiFault
			return
		}
		total += uint64(len(part))
		line = append(line, part[:min(len(part), maxLine-len(line))]...)
	}
	in.charge(uint64(len(line)))
	in.log(int(fd), line)
	if !in.put(s[3], 4, total) {
		s[0] = wasiFault
		return
	}
	s[0] = wasiOK
}

// wasiPoll lets virtual time pass: clocks are due at once, anything else is not
// there.
func wasiPoll(in *instance, s []uint64) {
	const subscription, event, clock = 48, 32, 0
	n := uint32(s[2])
	if n == 0 || n > 64 {
		s[0] = wasiInvalid
		return
	}
	in.charge(20 * uint64(n))
	subs, ok1 := in.mem(uint32(s[0]), n*subscription)
	events, ok2 := in.mem(uint32(s[1]), n*event)
	if !ok1 || !ok2 || !in.put(s[3], 4, uint64(n)) {
		s[0] = wasiFault
		return
	}
	for ; len(subs) > 0; subs, events = subs[subscription:], events[event:] {
		e := events[:event]
		clear(e)
		copy(e, subs[:8])
		e[10] = subs[8]
		if subs[8] != clock {
			e[8] = wasiBadFD
			continue
		}
		timeout := binary.LittleEndian.Uint64(subs[24:])
		if absolute := subs[40]&1 != 0; absolute {
			in.clock = max(in.clock, timeout)
		} else {
			in.clock += min(timeout, 1<<40)
		}
	}
	s[0] = wasiOK
}

func wasiExit(_ *instance, s []uint64) {
	panic(fmt.Sprintf("the plugin exited with code %d", int32(s[0])))
}

func wasiRandom(in *instance, s []uint64) {
	b, ok := in.mem(uint32(s[0]), uint32(s[1]))
	if !ok || len(b) > 64<<10 {
		s[0] = wasiInvalid
		return
	}
	in.charge(uint64(len(b) / 2))
	for len(b) > 0 {
		var w [8]byte
		binary.LittleEndian.PutUint64(w[:], in.random())
		b = b[copy(b, w[:]):]
	}
	s[0] = wasiOK
}
