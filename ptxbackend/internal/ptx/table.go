package ptx

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
)

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
	kind     string // "d", "s", "r", "i", "a", "D", "L", "l", "p", "dp", "label", "mov", ...
	count    int    // of a list of fixed length
	typ      Type   // NoType where it is one of the instruction's
	nth      int    // from 1
	wide     bool   // twice as wide
	atLeast  bool   // or wider
	space    Space  // of an address; Generic for the instruction's
	low      int64  // of a number: the least, the greatest, or the only ones
	high     int64
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

// parseRole reads d:1, D4:f32, s:u32/0-255, i:4|8|16, a:shared and the like.
func parseRole(w string) role {
	r := role{optional: strings.HasSuffix(w, "?"), low: math.MinInt64, high: math.MaxInt64}
	w, limits, _ := strings.Cut(strings.TrimSuffix(w, "?"), "/")
	kind, what, _ := strings.Cut(w, ":")
	r.kind = strings.TrimRight(kind, "0123456789")
	r.count, _ = strconv.Atoi(kind[len(r.kind):])
	if r.kind == "i" {
		limits, what = what, ""
	}
	r.parseLimits(limits)
	switch {
	case what == "":
	case what == "shared" || what == "global":
		r.space = map[string]Space{"shared": Shared, "global": Global}[what]
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

// parseLimits reads 0-255 or 4|8|16.
func (r *role) parseLimits(w string) {
	if low, high, isRange := strings.Cut(w, "-"); isRange {
		r.low, _ = strconv.ParseInt(low, 10, 64)
		r.high, _ = strconv.ParseInt(high, 10, 64)
		return
	}
	for _, n := range strings.Split(w, "|") {
		if v, err := strconv.ParseInt(n, 10, 64); err == nil {
			r.values = append(r.values, v)
		}
	}
}

// allows reports whether n is within the limits.
func (r *role) allows(n int64) bool {
	return r.low <= n && n <= r.high && (r.values == nil || slices.Contains(r.values, n))
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

func (s slot) has(part string) bool { return slices.Contains(s.choice, part) }

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
func (f *form) has(part string) bool { return slices.Contains(f.parts, part) }
