package ptx

import "fmt"

// address checks [register+offset] or [variable+offset].
func (o *operands) address(space Space, a Arg) {
	if space == Generic {
		space = o.form.space
	}
	if a.Kind != ArgAddr {
		o.fail("an address in brackets is wanted")
		return
	}
	if a.Off != int64(int32(a.Off)) {
		o.fail("an offset of %d", a.Off)
	}
	if a.Sym != "" {
		o.symbolic(space, a)
		return
	}
	t := U64
	if space == Shared {
		t = U32
	}
	if space == ParamSpace {
		o.fail("parameters are addressed by name")
	}
	o.register(o.in, a.Reg, t, false)
	o.form.uses = append(o.form.uses, a.Reg)
}

// access is how many bytes an instruction reads or writes at an address, and what
// the address has to be a multiple of.
func (o *operands) access() (bytes, align int) {
	switch p := o.form.parts; p[0] {
	case "ld", "st", "atom", "red":
		bytes = o.form.vec * o.form.types[len(o.form.types)-1].Bytes()
	case "mbarrier":
		bytes = 8
	case "ldmatrix", "stmatrix":
		bytes = 16
	case "cp":
		switch {
		case p[2] == "bulk": // the mbarrier it reports to is looked at as if it were a copy's
			return 0, 8
		case p[2] == "mbarrier":
			bytes = 8
		case len(o.in.Args) > 2:
			bytes = int(o.in.Args[2].Imm)
		}
	}
	return bytes, max(bytes, 1)
}

// symbolic checks an address of a parameter or a variable.
func (o *operands) symbolic(space Space, a Arg) {
	bytes, align := o.access()
	if space == ParamSpace {
		i, ok := o.params[a.Sym]
		if !ok {
			o.fail("%s is no parameter of the kernel", a.Sym)
			return
		}
		p := o.k.Params[i]
		o.within(a.Sym, a.Off, bytes, align, p.Bytes(), max(p.Align, p.Type.Bytes()))
		return
	}
	x, ok := o.vars[a.Sym]
	if !ok || x.Space != space {
		o.fail("%s is no variable in %v memory", a.Sym, spaceName(space))
		return
	}
	o.within(a.Sym, a.Off, bytes, align, x.Bytes, x.Align)
}

// within checks an access of bytes, which have to be aligned to align, at an offset
// from a variable of size bytes, 0 for unknown, that is aligned to have.
func (o *operands) within(name string, off int64, bytes, align, size, have int) {
	switch {
	case off < 0:
		o.fail("byte %d of %s", off, name)
	case size > 0 && off+int64(bytes) > int64(size):
		o.fail("bytes %d to %d of %s, which has %d", off, off+int64(bytes), name, size)
	}
	if have%align != 0 || off%int64(align) != 0 {
		o.fail("an address that has to be a multiple of %d is %s+%d, aligned to %d", align, name, off, have)
	}
}

func spaceName(s Space) string {
	if s == Generic {
		return "generic"
	}
	return fmt.Sprint(s)
}
