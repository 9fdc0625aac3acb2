package plugin

import (
	"encoding/binary"

	"github.com/sandwarp/sandwarp/abi"
)

// splitVocab reads the table of vocab_map: n, n+1 offsets, text.
func splitVocab(b []byte) ([]string, error) {
	if len(b) < 8 {
		return nil, abi.EINVAL
	}
	n := int(binary.LittleEndian.Uint32(b))
	if n < 0 || n > (len(b)-8)/4 {
		return nil, abi.EINVAL
	}
	all := string(b[4*(n+2):])
	pieces := make([]string, n)
	for i := range pieces {
		from, to := binary.LittleEndian.Uint32(b[4*(i+1):]), binary.LittleEndian.Uint32(b[4*(i+2):])
		if from > to || int(to) > len(all) {
			return nil, abi.EINVAL
		}
		pieces[i] = all[from:to]
	}
	return pieces, nil
}
