package kernels

import "testing"

// The blocks of queries, keys and values have about the same to read.
func TestGEMVDealsOutBlocks(t *testing.T) {
	for _, test := range []struct {
		mats []Layout
		most float64 // of the mean
	}{
		{[]Layout{{FormatQ4_K, 4096, 4096}, {FormatQ4_K, 1024, 4096}, {FormatQ6_K, 1024, 4096}}, 1.3},
		{[]Layout{{FormatF16, 3584, 3584}, {FormatF16, 512, 3584}, {FormatF16, 512, 3584}}, 1.4},
		{[]Layout{{FormatQ8_0, 14336, 4096}, {FormatQ8_0, 14336, 4096}}, 1.1},
		{[]Layout{{FormatQ8_0, 16, 64}, {FormatQ8_0, 16, 64}, {FormatQ8_0, 16, 64}}, 200},
	} {
		const sms = 132
		c := GEMV{Mats: test.mats, T: 1}
		blocks, all, most := 0, int64(0), int64(0)
		shares := c.shares()
		for i, n := range deal(shares, sms) {
			if n < 1 {
				t.Errorf("%v: matrix %d gets no blocks", test.mats, i)
			}
			blocks += n
			all += c.Mats[i].Bytes()
			most = max(most, shares[i].most(n))
		}
		if blocks > sms || float64(most) > test.most*float64(all)/sms {
			t.Errorf("%v: %d blocks, the busiest reads %d bytes, %d in the mean", test.mats, blocks, most, all/sms)
		}
		t.Logf("%v: %v, %.2f of the mean", test.mats, deal(shares, sms), float64(most)*sms/float64(all))
	}
	c := GEMV{Mats: []Layout{{FormatQ8_0, 16, 64}}, T: 1}
	l := c.Launch(132, GEMVArgs{Mats: make([]GEMVMat, 1)})
	if n := params(c, l.Params)["blocks"]; l.Grid[0] != 1 || n != 1 {
		t.Errorf("a single unit has %d blocks, the kernel is told %d", l.Grid[0], n)
	}
}

func BenchmarkGEMVLaunch(b *testing.B) {
	c := GEMV{Mats: []Layout{{FormatQ4_K, 4096, 4096}, {FormatQ4_K, 1024, 4096}, {FormatQ6_K, 1024, 4096}}, T: 1}
	for b.Loop() {
		c.Launch(132, GEMVArgs{Mats: make([]GEMVMat, 3)})
	}
}
