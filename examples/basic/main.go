// Basic opens the GGUF model named on the command line and continues a prompt.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	sandwarp "github.com/sandwarp/sandwarp/runtime"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: basic MODEL.gguf")
	}
	m, err := sandwarp.Open(context.Background(), os.Args[1], sandwarp.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	for tok, err := range m.Generate(context.Background(), "Once upon a time", sandwarp.GenerateOptions{MaxTokens: 100}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(tok.Text)
	}
}
