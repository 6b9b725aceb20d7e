#!/usr/bin/env bash
# All that needs a GPU, in one command: tests, exactness, kernels and speed, each part by itself.
#
#   bash benchmarks/gpu/run.sh [--out DIR] [--only PARTS] [--bundle BUNDLE] [--dry-run]
#
# --out: where results go; default $OUT, else ./gpu-results. --only: parts by commas, in any number:
# machine, install, half, tests, exactness, placement, plans, speed, encode, kernels, context,
# sanitize. --bundle: default demo.
# --dry-run: what can run on a CPU, in small sizes; `install` and GPU parts are left out. PYTHON
# names the interpreter, PART_SECONDS what one part may take (default 540).
# A part that fails does not keep the others from running; the exit code is 0 only where all passed,
# and parts.json says which did. How to bring the libraries along: README.md beside this file.
set -uo pipefail
cd "$(dirname "$0")/../.."

python=${PYTHON:-python3}
out=${OUT:-gpu-results}
seconds=${PART_SECONDS:-540}
bundle=demo
dry=
only=

while [ $# -gt 0 ]; do
  case $1 in
    --out) out=$2; shift 2 ;;
    --only) only=$2; shift 2 ;;
    --bundle) bundle=$2; shift 2 ;;
    --dry-run) dry=--dry-run; shift ;;
    *) echo "unknown option: found $1, expected --out, --only, --bundle, --dry-run" >&2; exit 2 ;;
  esac
done
mkdir -p "$out"
# Made from the bundle, kept between runs; results are small files, this is not one.
work=${LATENTSR_GPU_WORK:-${TMPDIR:-/tmp}/latentsr-gpu}
mkdir -p "$work"
half=$work/half.lsr
rm -f "$out/parts.json.part"
failed=0

wanted() { [ -z "$only" ] || case ",$only," in *",$1,"*) true ;; *) false ;; esac; }

# part NAME COMMAND...: run one part, keep its output in the log, remember how it ended.
part() {
  local name=$1 status begin
  shift
  wanted "$name" || return 0
  begin=$(date +%s)
  echo "== $name"
  timeout "$seconds" "$@" 2>&1 | tee -a "$out/log.txt"
  status=${PIPESTATUS[0]}
  [ "$status" -eq 0 ] || failed=1
  printf '{"name": "%s", "status": %d, "seconds": %d}\n' \
    "$name" "$status" $(($(date +%s) - begin)) >> "$out/parts.json.part"
  echo "== $name ended with $status"
}

machine() {
  nvidia-smi || [ -n "$dry" ] || return 1
  "$python" - <<'PY'
import importlib.metadata as metadata, platform
print(platform.python_version(), platform.platform())
for name in ("torch", "onnx", "onnxruntime", "onnxruntime-gpu", "tensorrt", "tensorrt-cu12",
             "tensorrt-cu13", "tensorrt-rtx", "cuda-python", "cuda-bindings", "pycuda", "cupy-cuda13x", "numpy"):
    try:
        print(name, metadata.version(name))
    except metadata.PackageNotFoundError:
        print(name, "is not installed")
PY
}

gpu_tests() {
  LATENTSR_REQUIRE_GPU=1 "$python" -m pytest -q -rfEs tests/gpu tests/engines \
    tests/runtime/test_verify.py -k "not dry_run and not imitated"
}

install() {
  local cuda=() pip=("$python" -m pip install --quiet --no-build-isolation --no-deps)
  if command -v nvcc > /dev/null; then
    cuda=(-C cmake.define.LATENTSR_CUDA=ON
      -C "cmake.define.LATENTSR_CUDA_ARCHITECTURES=${ARCHITECTURES:-90}")
  fi
  "${pip[@]}" "${cuda[@]}" . && return
  # The other parts say more without kernels than without anything, and this one has failed anyway.
  "${pip[@]}" .
  return 1
}

sanitize() {
  local tool failed=0
  command -v compute-sanitizer > /dev/null || { echo "no compute-sanitizer"; return 0; }
  for tool in memcheck racecheck synccheck initcheck; do
    sanitized "$tool" || failed=1
  done
  return $failed
}

# sanitized TOOL: the libraries of whole routes and of CuPy's graphs are not ours to clean.
sanitized() {
  local also=()
  # Results and rooms come down whole, with the bytes between members and behind streams that no
  # kernel writes; what kernels themselves read is checked.
  [ "$1" != initcheck ] || also=(--check-api-memory-access no)
  echo "= $1"
  LATENTSR_REQUIRE_GPU=1 LATENTSR_EXACT_BLOCKS=1 timeout $((seconds / 4)) \
    compute-sanitizer --tool "$1" "${also[@]}" --error-exitcode 1 "$python" -m pytest -q -x \
    tests/gpu --ignore-glob '*/test_gpu_routes*' --ignore tests/gpu/test_gpu_graph.py
}

latentsr() { "$python" -c 'from latentsr.cli import main; main()' "$@"; }

plans() {
  # Coded sizes of 1080p and 4K outputs of x4 routes; twice, so that the second run shows the cache.
  local precision
  for precision in "" --fp16; do
    latentsr build "$half" --backend tensorrt --shapes 480x270,960x540 $precision &&
      latentsr build "$half" --backend tensorrt --shapes 480x270,960x540 $precision --json ||
      return 1
  done
}

export -f machine install gpu_tests sanitize sanitized latentsr plans
export python half dry seconds

part machine bash -c machine
if [ -z "$dry" ]; then
  part install bash -c install
fi
part half "$python" benchmarks/gpu/half_bundle.py "$bundle" "$half"
if [ -z "$dry" ]; then
  part tests bash -c gpu_tests
  part exactness "$python" benchmarks/gpu/exactness.py "$half" --plans-twice \
    --save "$out/encoded.lsv" --out "$out/exactness.json"
  part placement "$python" benchmarks/gpu/placement.py "$half" --out "$out/placement.json"
  part plans bash -c plans
  part speed "$python" benchmarks/gpu/speed.py "$half" --out "$out/speed.json"
  part encode "$python" benchmarks/gpu/encode_speed.py "$half" --out "$out/encode.json"
else
  part exactness "$python" benchmarks/gpu/exactness.py "$half" --dry-run \
    --save "$out/encoded.lsv" --out "$out/exactness.json"
  part placement "$python" benchmarks/gpu/placement.py "$half" --provider CPUExecutionProvider \
    --out "$out/placement.json"
  part speed "$python" benchmarks/gpu/speed.py "$half" --dry-run --sizes 128x96 --rounds 2 \
    --warmup 1 --in-flight 1,2 --out "$out/speed.json"
  part encode "$python" benchmarks/gpu/encode_speed.py "$half" --dry-run --sizes 128x96 \
    --rounds 2 --warmup 1 --in-flight 1,2 --out "$out/encode.json"
fi
if [ -f benchmarks/gpu/kernels.py ] && [ -z "$dry" ]; then
  part kernels "$python" benchmarks/gpu/kernels.py --only coder steps --out "$out/kernels.json"
  part context "$python" benchmarks/gpu/kernels.py --only context --out "$out/context.json"
  part sanitize bash -c sanitize
fi

"$python" -c 'import json, sys
print(json.dumps([json.loads(line) for line in sys.stdin], indent=1))' \
  < <(cat "$out/parts.json.part" 2>/dev/null) > "$out/parts.json"
rm -f "$out/parts.json.part"
cat "$out/parts.json"
exit $failed
