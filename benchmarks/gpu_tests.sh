#!/usr/bin/env bash
# Tests and measures minigrad on this machine's GPU by one call, in under ten minutes:
#     bash benchmarks/gpu_tests.sh [folder for gpu.md, gpu.json, gpu.png and tests.log]
# Installs the packages that are missing, where an index can be reached; minigrad itself is used from
# here. PYTHON: another interpreter than python3; MINUTES: for the measuring.
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
out=${1:-benchmarks/results}
mkdir -p "$out"

has() { "$python" -P -c "import $1" 2>/dev/null; }
if ! has cupy; then
    cuda=$(nvidia-smi | sed -n 's/.*CUDA Version: \([0-9]*\).*/\1/p')
    "$python" -m pip install -q "cupy-cuda${cuda:-13}x>=14" || exit 2
fi
for name in numba ml_dtypes matplotlib pytest hypothesis; do
    has "$name" || "$python" -m pip install -q "$name" || echo "$name is missing"
done
has torch || echo "torch is missing, its columns stay empty: $python -m pip install torch"
if ! has minigrad.benchmarks; then # the package as pyproject.toml lays it out, without installing it
    place=$(mktemp -d)
    trap 'rm -rf "$place"' EXIT
    mkdir "$place/minigrad"
    ln -s "$PWD"/minigrad/* "$PWD/kernels" "$PWD/benchmarks" "$place/minigrad/"
    export PYTHONPATH=$place${PYTHONPATH:+:$PYTHONPATH}
fi
"$python" -P -c "import minigrad.benchmarks.on_gpu.rows" || exit 2

# those tests that use the GPU; the others of CUDA run on the CPU
split=$(has xdist && echo "-n 8")
MINIGRAD_TEST_CUPY=real timeout 170 "$python" -P -m pytest -q --no-header -p no:cacheprovider $split \
    $(grep -l "^from stand_in import" tests/test_cuda*.py) 2>&1 | tee "$out/tests.log" | tail -40
tests=$?
[ "$tests" = 124 ] && echo "the tests were ended after 170 s"

PYTHONUNBUFFERED=1 "$python" benchmarks/gpu.py --out "$out" --minutes "${MINUTES:-6}"
measured=$?
exit $((tests ? tests : measured))
