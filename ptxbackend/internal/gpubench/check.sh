#!/usr/bin/env bash
# Checks the GPU backend on a machine with a GPU. `make gpu-bin` builds what it runs
# into bin/gpu, so the machine needs no Go; run it from anywhere inside the checkout:
#
#	ptxbackend/internal/gpubench/check.sh          # everything, then verified.json
#	ptxbackend/internal/gpubench/check.sh bench    # measurements, also of whole models
#
# Environment: SANITIZER_TIME, how long each tool of compute-sanitizer may take, 15m: the
# texts it has no time for are not launched, nor written down; MODELS, a folder for the
# models it makes (up to 16 GB each, removed again); LLAMA_BENCH, a llama-bench built with CUDA
# to run beside.
set -euo pipefail
cd "$(dirname "$0")/../../.."
bin=$PWD/bin/gpu
[ -x "$bin/gpubench" ] || { echo "run 'make gpu-bin' first, here or where there is Go, and bring bin/gpu along"; exit 2; }
export SANDWARP_GPU=1

tests() { # tests PACKAGE ARGUMENTS...: a package's tests on the device, in its folder
	local package=$1
	shift
	(cd "$package" && "$@" "$bin/$(basename "$package").test" -test.timeout=20m ${TEST_FLAGS:-})
}

# What each check launched: only these texts are written down as having passed it.
launched=$(mktemp -d)
trap 'rm -rf "$launched" "${file:-}"' EXIT

check() {
	local checks=float64=$launched/float64
	echo "== the driver"
	tests ptxbackend/internal/cuda
	echo "== every kernel against float64"
	SANDWARP_LAUNCHED=$launched/float64 tests ptxbackend/internal/kernels
	echo "== instructions, the device against the emulator"
	tests ptxbackend/internal/emu
	echo "== whole models against float64 and the golden logits"
	tests ptxbackend
	if command -v compute-sanitizer >/dev/null; then
		for tool in memcheck racecheck synccheck initcheck; do
			echo "== compute-sanitizer $tool"
			: >"$launched/$tool"
			SANDWARP_LAUNCHED=$launched/$tool SANDWARP_UNWRITTEN=1 \
				TEST_FLAGS="-test.run=^TestAllTexts$ -test.timeout=${SANITIZER_TIME:-15m}" \
				tests ptxbackend/internal/kernels compute-sanitizer --tool $tool --error-exitcode 9
			[ -s "$launched/$tool" ] || { echo "$tool saw no kernel: give SANITIZER_TIME more than 15m"; continue; }
			checks=$checks,$tool=$launched/$tool
		done
	else
		echo "SKIPPED: compute-sanitizer is not on the PATH"
	fi
	"$bin/gpubench" -verified ptxbackend/testdata/verified.json -checks "$checks"
	echo "bring ptxbackend/testdata/verified.json back and set the number in the README's status: a test compares them"
}

# The matrix product of PyTorch's cuBLAS, the measure for ours.
cublas() {
	python3 - <<'PY' || echo "SKIPPED: no PyTorch to compare with"
import torch
for m, n, k in ((512, 4096, 4096), (2048, 4096, 4096), (2048, 14336, 4096), (8192, 8192, 8192)):
    a = [torch.randn(m, k, device="cuda").bfloat16() for _ in range(4)]
    b = [torch.randn(n, k, device="cuda").bfloat16() for _ in range(4)]
    times = []
    for i in range(23):
        t0, t1 = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        t0.record()
        for j in range(8):
            a[(i + j) % 4] @ b[(i + j) % 4].T
        t1.record()
        torch.cuda.synchronize()
        times.append(t0.elapsed_time(t1) / 8)
    t = sorted(times[3:])[10]
    print(f"cuBLAS bf16 {m:5} x {n:5} x {k:5} {2*m*n*k/t/1e9:7.0f} TFLOP/s")
PY
}

models() {
	local dir=${MODELS:-$launched} shape type
	for shape in qwen2.5-7b llama-3.1-8b; do
		for type in Q4_K_M Q8_0 BF16; do
			file=$dir/$shape-$type.gguf
			"$bin/randommodel" $shape "$file" $type
			"$bin/sandwarp" bench -m "$file" --backend ptx -p 512 -n 128 -r 5
			if [ -n "${LLAMA_BENCH:-}" ]; then
				"$LLAMA_BENCH" -m "$file" -p 512 -n 128 -ngl 99 -fa 1 -r 5
			fi
			rm -f "$file"
		done
	done
}

"$bin/sandwarp" devices
"$bin/sandwarp" devices | grep -q '^ptx  [0-9]' || { echo "no GPU here: nothing was checked or measured"; exit 3; }

case ${1:-check} in
check) check ;;
bench)
	"$bin/gpubench"
	cublas
	models
	;;
*)
	echo "usage: $0 [check|bench]"
	exit 2
	;;
esac
