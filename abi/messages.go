package abi

// Configure is the message of sw_configure, sent once to each instance before
// any other call.
type Configure struct {
	Config []byte // one msgpack value of the plugin's own, nil for none
	Seed   uint64 // seed of everything random that no request seeds
	Vocab  uint32 // number of the model's tokens, 0 if not known
	Host   string // name and version of the host
}

// SeqOpen is the message of sw_seq_open.
type SeqOpen struct {
	Config []byte // one msgpack value, the request's configuration; nil for none
	Seed   uint64 // seed of the request
}

// CheckValue reports whether b is exactly one well-formed msgpack value.
func CheckValue(what string, b []byte) error {
	r := NewReader(what, b)
	r.Raw()
	return r.Done()
}

// AppendConfigure appends m. m.Config must be one well-formed value or nil.
func AppendConfigure(b []byte, m *Configure) []byte {
	b = AppendMap(b, 4)
	b = appendRaw(AppendString(b, "config"), m.Config)
	b = AppendUint(AppendString(b, "seed"), m.Seed)
	b = AppendUint(AppendString(b, "vocab"), uint64(m.Vocab))
	return AppendString(AppendString(b, "host"), m.Host)
}

// AppendSeqOpen appends m. m.Config must be one well-formed value or nil.
func AppendSeqOpen(b []byte, m *SeqOpen) []byte {
	b = AppendMap(b, 2)
	b = appendRaw(AppendString(b, "config"), m.Config)
	return AppendUint(AppendString(b, "seed"), m.Seed)
}

func appendRaw(b, value []byte) []byte {
	if value == nil {
		return AppendNil(b)
	}
	return append(b, value...)
}

// ParseConfigure reads a message; Config points into b. Unknown keys are skipped.
func ParseConfigure(b []byte) (Configure, error) {
	var m Configure
	r := NewReader("configure", b)
	r.Fields(64, func(key string) {
		switch key {
		case "config":
			m.Config = optionalRaw(r)
		case "seed":
			m.Seed = r.Uint(1<<64 - 1)
		case "vocab":
			m.Vocab = uint32(r.Uint(MaxVocab))
		case "host":
			m.Host = r.String(128)
		default:
			r.Skip()
		}
	})
	return m, r.Done()
}

// ParseSeqOpen reads a message; Config points into b. Unknown keys are skipped.
func ParseSeqOpen(b []byte) (SeqOpen, error) {
	var m SeqOpen
	r := NewReader("seq_open", b)
	r.Fields(64, func(key string) {
		switch key {
		case "config":
			m.Config = optionalRaw(r)
		case "seed":
			m.Seed = r.Uint(1<<64 - 1)
		default:
			r.Skip()
		}
	})
	return m, r.Done()
}

func optionalRaw(r *Reader) []byte {
	if r.IsNil() {
		return nil
	}
	return r.Raw()
}
