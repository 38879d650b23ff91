#!/bin/sh
# All benchmarks on one device, one after another; results in results/bench/<device>/.
#
#   OMP_NUM_THREADS=2 sh scripts/bench/all.sh cpu      # some hours on two cores, which must be idle
#   sh scripts/bench/all.sh cuda                       # fp32 and bf16; batches that fill a large GPU
#
# Options after the device are passed to every benchmark: --data FOLDER, --rounds 3, --mini, --out FOLDER.
# A benchmark that fails does not stop the others; the last line names those that failed, and the exit code is then 1.
cd "$(dirname "$0")/../.." || exit 1
python=${PYTHON:-.venv/bin/python}
device=${1:-cpu}
[ $# -gt 0 ] && shift
failed=

bench() { # NAME OPTIONS...
    name=$1
    shift
    echo "== $name $*"
    "$python" -m "scripts.bench.$name" --device "$device" "$@" || failed="$failed $name"
}

bench padding "$@"
bench startup "$@"
bench parts "$@"
precisions=fp32
scaling=
if [ "$device" != cpu ]; then
    precisions="fp32 bf16"
    scaling="--rounds 7 --batch 16 --lengths 16 32 128 256 512 --batches 8 32 64 128"
fi
for precision in $precisions; do
    bench attention --precision "$precision" "$@"
    for task in sst2 webnlg; do
        bench step --task "$task" --precision "$precision" "$@"
        bench step --task "$task" --lengths 512 --methods lora inducer inducer_lora fine_tune --precision "$precision" "$@"
        bench step --task "$task" --lengths 128 --profile --precision "$precision" "$@"
        bench compile --task "$task" --precision "$precision" "$@"
        [ "$device" = cpu ] || bench compile --mode reduce-overhead --task "$task" --precision "$precision" "$@"
    done
    bench scaling --task sst2 --precision "$precision" $scaling "$@"
    bench scaling --task webnlg --precision "$precision" $scaling --runs "$@"
    bench loss --precision "$precision" "$@"
    bench decoding --precision "$precision" "$@"
    bench seeds --precision "$precision" "$@"
    for task in sst2 webnlg; do
        for method in lora prefix fine_tune; do
            bench epoch --task "$task" --method "$method" --precision "$precision" "$@"
        done
    done
done
"$python" -m scripts.bench.summary
[ -z "$failed" ] || { echo "failed:$failed" >&2; exit 1; }
