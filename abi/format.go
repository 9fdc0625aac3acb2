package abi

import "strconv"

// format is fmt.Sprintf for the verbs the messages here need: %d, %s, %q, %v and
// %02x. Package fmt would add a megabyte to a Go guest.
func format(f string, args ...any) string {
	b := make([]byte, 0, len(f)+32)
	for i := 0; i < len(f); i++ {
		if f[i] != '%' || i+1 == len(f) {
			b = append(b, f[i])
			continue
		}
		i++
		hex := f[i] == '0' && i+2 < len(f) && f[i+2] == 'x'
		if hex {
			i += 2
		}
		if f[i] == '%' || len(args) == 0 {
			b = append(b, '%')
			continue
		}
		arg := args[0]
		args = args[1:]
		switch {
		case hex:
			n, _ := integer(arg)
			if n < 16 {
				b = append(b, '0')
			}
			b = strconv.AppendInt(b, n, 16)
		case f[i] == 'q':
			b = strconv.AppendQuote(b, text(arg))
		default:
			b = append(b, text(arg)...)
		}
	}
	return string(b)
}

func integer(v any) (n int64, ok bool) {
	switch v := v.(type) {
	case int:
		return int64(v), true
	case int64:
		return v, true
	case int32:
		return int64(v), true
	case uint32:
		return int64(v), true
	case byte:
		return int64(v), true
	}
	return 0, false
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case Kind:
		return string(v)
	case Mode:
		return string(v)
	case []byte:
		return string(v)
	case error:
		return v.Error()
	case uint64:
		return strconv.FormatUint(v, 10)
	}
	if n, ok := integer(v); ok {
		return strconv.FormatInt(n, 10)
	}
	return "?"
}

// failure is an error made of a message alone, or of one that wraps a Code.
type failure struct {
	message string
	code    Code
}

func (e *failure) Error() string { return e.message }

func (e *failure) Unwrap() error {
	if e.code == 0 {
		return nil
	}
	return e.code
}

func errorf(f string, args ...any) error { return &failure{message: format(f, args...)} }

// Errorf makes an error for a guest to return: a code and words of its own, with
// %d, %s, %q, %v and %02x as in package fmt, without linking it.
func (c Code) Errorf(f string, args ...any) error {
	return &failure{message: format(f, args...), code: c}
}
