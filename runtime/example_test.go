package sandwarp_test

import (
	"context"
	"fmt"
	"log"

	"github.com/sandwarp/sandwarp/internal/model/modeltest"
	"github.com/sandwarp/sandwarp/internal/tensor"
	sandwarp "github.com/sandwarp/sandwarp/runtime"
)

// A small random model stands in for a real one here; with a file it is
// sandwarp.Open(ctx, "model.gguf", sandwarp.Options{}).
func Example() {
	ctx := context.Background()
	m, err := sandwarp.OpenBytes(ctx, "tiny", modeltest.Tiny("llama", tensor.F32, 1), sandwarp.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	n := 0
	for _, err := range m.Generate(ctx, "Once upon a time", sandwarp.GenerateOptions{MaxTokens: 10, IgnoreEOS: true}) {
		if err != nil {
			log.Fatal(err)
		}
		n++
	}
	fmt.Println(n >= 10)
	// Output: true
}

// A session keeps what was said, and its keys and values, between turns.
func ExampleSession_Chat() {
	ctx := context.Background()
	m, err := sandwarp.OpenBytes(ctx, "tiny", modeltest.Tiny("qwen3", tensor.Q8_0, 1), sandwarp.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	s := m.NewSession()
	defer s.Close()
	for _, question := range []string{"Who are you?", "And who am I?"} {
		for _, err := range s.Chat(ctx, question, sandwarp.GenerateOptions{MaxTokens: 5, IgnoreEOS: true}) {
			if err != nil {
				log.Fatal(err)
			}
		}
	}
	fmt.Println(s.Stats().Cached > 0)
	// Output: true
}
