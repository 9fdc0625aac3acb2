package enginetest

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/wasm"
	"github.com/sandwarp/sandwarp/wasm/internal/binary"
	"github.com/sandwarp/sandwarp/wasm/internal/meter"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

// Validation compares the scan with another validator, on n damaged modules: what the
// scan accepts is valid, and what it calls invalid is not. The scan runs first, and what
// is beyond its limits goes no further, so that the other may be one that such modules
// harm; body says to damage bodies only, for one that any invalid module may harm. The
// other is known to accept what we refuse in words of lax.
func Validation(t *testing.T, validate func(module []byte) error, n int, seed uint64, body bool, lax ...string) {
	bases := validationBases(t, validate)
	r := rand.New(rand.NewPCG(seed, 11))
	damage := Mutate
	if body {
		damage = MutateBody
	}
	var accepted, refused, beyond, excused, wrong int
	for i := 0; i < n && wrong <= 10; i++ {
		b := damage(r, bases)
		_, err := binary.Scan(b, binary.DefaultLimits())
		var own *binary.Error
		if errors.As(err, &own) && own.Unsupported {
			beyond++
			continue
		}
		other := validate(b)
		switch {
		case (err == nil) != (other == nil) && !(err != nil && known(err, lax)):
			wrong++
			t.Errorf("mutant %d of seed %d: the scan says %v, the other %v\n%x", i, seed, err, other, b[:min(len(b), 4000)])
		case err == nil:
			accepted++
		case other == nil:
			excused++
		default:
			refused++
		}
	}
	t.Logf("%d mutants: %d valid, %d invalid, %d beyond limits, %d excused", n, accepted, refused, beyond, excused)
	if accepted == 0 || refused == 0 {
		t.Error("they are no test")
	}
}

func known(err error, words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(err.Error(), w) })
}

// validationBases are valid modules, a fifth of them with instructions of every kind.
func validationBases(t *testing.T, validate func([]byte) error) [][]byte {
	t.Helper()
	bases := mutantBases(t)
	for range len(bases) / 4 {
		bases = append(bases, everyInstruction().Bytes())
	}
	for _, b := range bases {
		_, err := binary.Scan(b, binary.DefaultLimits())
		if err := errors.Join(err, validate(b)); err != nil {
			t.Fatal(err)
		}
	}
	return bases
}

// CompiledBy is a validator that lets an engine compile the module, as it is and
// metered. The module has no imports that count.
func CompiledBy(t *testing.T, e wasm.Engine) func([]byte) error {
	return func(b []byte) error {
		if m, err := e.Compile(context.Background(), b, nil, ""); err != nil {
			return err
		} else if err := m.Close(); err != nil {
			t.Error(err)
		}
		s, err := binary.Scan(b, binary.DefaultLimits())
		if err != nil {
			return nil
		}
		r, err := meter.Rewrite(s, meter.Options{Fuel: 1, StackSlots: 1, MemoryPages: 100, Elements: 1000})
		if err != nil {
			return nil // a reserved name
		}
		m, err := e.Compile(context.Background(), r.Bytes, nil, "")
		if err == nil {
			err = m.Close()
		}
		return err
	}
}
