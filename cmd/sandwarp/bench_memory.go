package main

import (
	"context"
	"errors"

	"github.com/sandwarp/sandwarp/runtime"
)

// resident is the memory the process holds.
type resident struct {
	total int64
	file  int64 // of it, pages of the model file's mapping
}

// resident opens the model, runs a prompt and an answer and looks at what the
// process holds, in the garbage collector's own time.
func (b *bencher) resident(ctx context.Context, threads int) (benchResult, error) {
	m, err := b.open(ctx, threads, nil)
	if err != nil {
		return benchResult{}, err
	}
	r := b.about(m, threads)
	r.Test = "memory"
	s := m.NewSession()
	o := sandwarp.GenerateOptions{MaxTokens: max(b.tokens, 1), IgnoreEOS: true}
	for _, failed := range s.GenerateTokens(ctx, benchPrompt(m, 11, max(b.prompt, 1)), o) {
		err = errors.Join(err, failed)
	}
	if err == nil {
		b.weigh(m, &r)
	}
	return r, errors.Join(err, s.Close(), m.Close())
}

// weigh fills in the memory row while the model and its session are open.
func (b *bencher) weigh(m *sandwarp.Model, r *benchResult) {
	have, err := residentMemory(b.model.path)
	if err != nil {
		r.unknown = err.Error()
		return
	}
	info, load := m.Info(), m.Load()
	r.RSS, r.RSSWeights, r.RSSRepacked = have.total, have.file, 0
	if info.Backend == "cpu" {
		r.RSSRepacked = info.WeightMemory
	}
	r.RSSCache = info.CacheBytes * int64(load.Pages-load.FreePages) / int64(max(load.Pages, 1))
	r.RSSBeyond = r.RSS - r.RSSWeights - r.RSSRepacked - r.RSSCache
}
