package ptx

func (v *verifier) flow() {}
