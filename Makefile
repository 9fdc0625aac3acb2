# sandwarp: make test | lint | generate | bench | check

GO          ?= go
STATICCHECK  = honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK  = golang.org/x/vuln/cmd/govulncheck@v1.9.0
PLATFORMS    = linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

.PHONY: reliability-wasm test test-arm64 lint generate generate-asm generate-c generate-rust generate-as generate-go bench check cross gpu-bin gpu-check gpu-bench bench-plugins

# The README's second command. No cgo, no GPU, no network beyond Go modules.
test:
	CGO_ENABLED=0 $(GO) test ./...

lint:
	@out=$$(gofmt -l . | grep -v '^_' || true); if [ -n "$$out" ]; then echo "not gofmt-ed:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	GOARCH=arm64 $(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	@$(GO) run $(GOVULNCHECK) ./... > .vuln.txt 2>&1; code=$$?; cat .vuln.txt; \
	if [ $$code -ne 0 ] && grep -q 'fetching vulnerabilities' .vuln.txt; then \
		echo "SKIPPED: govulncheck could not reach the vulnerability database"; code=0; fi; \
	rm -f .vuln.txt; exit $$code

# Everything that is generated and committed.
generate: generate-asm generate-c generate-rust generate-as generate-go

generate-asm:
	cd cpubackend/internal/kernels/_asm && $(GO) generate ./...

generate-c:
	$(MAKE) -B -C sdk/c all
	$(MAKE) -B -C wasm/testdata all

generate-rust:
	$(MAKE) -B -C sdk/rust all

generate-as:
	$(MAKE) -B -C sdk/assemblyscript all

# The example plugins written in Go, for `sandwarp plugin check` and --plugin.
generate-go:
	mkdir -p bin/plugins
	for p in sdk/go/examples/*/; do \
		GOOS=wasip1 GOARCH=wasm $(GO) build -buildmode=c-shared -ldflags='-s -w' -o bin/plugins/$$(basename $$p).wasm ./$$p && \
		$(GO) run ./sdk/pack bin/plugins/$$(basename $$p).wasm || exit 1; done

# Speed, time to the first token and memory of random weights in a real shape, beside the
# machine's own limits measured in the same run. SHAPE=llama-3.2-1b TYPES="Q8_0 Q4_K_M"
# THREADS=1,2. PEER_LLAMA=path/llama-bench, and PEER_IK of ik_llama.cpp, which also runs
# with its repacking (-rtr 1), compare in turn with those instead: PEER_THREADS=2 ROUNDS=5.
SHAPE   ?= qwen2.5-0.5b
TYPES   ?= Q8_0 Q4_K_M
THREADS ?= 1,2
PEER_LLAMA ?=
PEER_IK ?=
PEER_THREADS ?= 2
ROUNDS  ?= 5
PEERS = $(if $(PEER_LLAMA),-peer 'llama.cpp=$(PEER_LLAMA)') \
	$(if $(PEER_IK),-peer 'ik_llama.cpp=$(PEER_IK) -rtr 0' -peer 'ik_llama.cpp repacked=$(PEER_IK) -rtr 1')
bench:
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && \
	CGO_ENABLED=0 $(GO) build -o $$dir/ ./cmd/sandwarp ./tools/randommodel ./tools/benchpeers && \
	$$dir/randommodel $(SHAPE) $$dir/f16.gguf && \
	for t in $(TYPES); do $$dir/sandwarp quantize $$dir/f16.gguf $$dir/$(SHAPE)-$$t.gguf $$t >/dev/null || exit 1; done && \
	if [ -n "$(strip $(PEERS))" ]; then \
		$$dir/benchpeers -sandwarp "$$dir/sandwarp --backend cpu" $(PEERS) -t $(PEER_THREADS) -r $(ROUNDS) $$dir/$(SHAPE)-*.gguf; \
	else for t in $(TYPES); do \
		$$dir/sandwarp bench -m $$dir/$(SHAPE)-$$t.gguf -p 512 -n 64 -t $(THREADS) -r $(ROUNDS) --batch 1,2,4,8,16 --load --memory || exit 1; done; \
	fi

# Hostile plugins, bombs, 200,000 damaged modules, in the host and against the engines'
# own validation, and 1,000 damaged caches: about five minutes, and two on Wasmtime.
RELIABILITY = Hostile|Bombs|Classes|Mutants|Validation|Damaged|Truncated|Addresses|Trap|Breaker|Recursion|StopLatency|Prices
reliability-wasm:
	$(GO) test -count=1 -v -timeout 20m -run '$(RELIABILITY)' ./wasm -reliability
	CGO_ENABLED=1 $(GO) test -count=1 -v -timeout 20m -run '$(RELIABILITY)' ./wasm/wasmtime -reliability

# For a machine with an NVIDIA GPU: what runs there, which needs no Go; then every
# kernel checked, and measured, on the device.
gpu-bin:
	mkdir -p bin/gpu
	for p in ptxbackend ptxbackend/internal/kernels ptxbackend/internal/emu ptxbackend/internal/cuda; do \
		CGO_ENABLED=0 $(GO) test -c -o bin/gpu/$$(basename $$p).test ./$$p || exit 1; done
	for p in ptxbackend/internal/gpubench cmd/sandwarp tools/randommodel; do \
		CGO_ENABLED=0 $(GO) build -o bin/gpu/$$(basename $$p) ./$$p || exit 1; done

gpu-check: gpu-bin
	ptxbackend/internal/gpubench/check.sh check

gpu-bench: gpu-bin
	ptxbackend/internal/gpubench/check.sh bench

# What must hold before a commit: it builds everywhere, is formatted and vetted,
# and generating changes nothing.
check: lint cross
	$(MAKE) generate
	@out=$$(git status --porcelain -- '*.s' '*.wasm' '*_gen.go' 2>/dev/null); if [ -n "$$out" ]; then echo "generating changed:"; echo "$$out"; exit 1; fi

cross:
	@for p in $(PLATFORMS); do echo "build $$p"; \
		CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) build ./... || exit 1; done
	@echo "build -tags noasm"; CGO_ENABLED=0 $(GO) build -tags noasm ./...

# The packages with arithmetic of their own, on an emulated arm64.
test-arm64:
	@command -v qemu-aarch64-static >/dev/null || { echo "SKIPPED: install qemu-user-static to run the arm64 tests"; exit 0; }; \
	for cpu in max neoverse-n1 cortex-a53; do echo "arm64 -cpu $$cpu"; \
		CGO_ENABLED=0 GOARCH=arm64 $(GO) test -short -exec "qemu-aarch64-static -cpu $$cpu" ./internal/tensor ./cpubackend/internal/kernels || exit 1; done

# The plugin platform's measures beside native Go in the same run, and what metering
# costs. For a machine with nothing else to do.
bench-plugins:
	$(GO) test ./wasm -run TestForkMemory -v -count=1 | grep -v '^=== '
	$(GO) test ./wasm -run xxx -bench Measures -benchtime 1x
	$(GO) test ./wasm/internal/meter -run xxx -bench Tax -benchtime 100x
