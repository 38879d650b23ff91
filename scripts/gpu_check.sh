#!/bin/sh
# What a GPU has to show, on a machine with torch, transformers, accelerate, peft and pytest but no package index.
#
#   sh scripts/gpu_check.sh prepare            # beforehand, where there is an index: fills .gpu/
#   sh scripts/gpu_check.sh a                  # imports, contract tests, gradients, one step profiled
#   sh scripts/gpu_check.sh b                  # step times, CUDA graphs, attention, decoding
#   sh scripts/gpu_check.sh c                  # resume, lack of memory, several runs at a time
#   sh scripts/gpu_check.sh d                  # seeds side by side, an epoch of SST-2 with its score
#   sh scripts/gpu_check.sh e                  # torch.compile
#   sh scripts/gpu_check.sh a --device cpu --small     # a rehearsal
#
# Each of the five takes less than nine minutes and leaves JSON files in results/bench/<device>/. Further options are
# those of scripts.gpu.check (--only ITEM..., --out FOLDER); PYTHON names the interpreter (default: python3).
cd "$(dirname "$0")/.." || exit 1
python=${PYTHON:-python3}
if [ "$1" = prepare ]; then
    shift
    exec "$python" -m scripts.gpu.prepare "$@"
fi
room=$(mktemp -d) || exit 1
trap 'rm -rf "$room"' EXIT
"$python" -m pip install --quiet --no-index --no-deps --no-compile --target "$room/site" .gpu/wheels/*.whl || exit 1
export PYTHONPATH="$room/site:$PWD" INDUCER_BENCH_CACHE="$room/cache" HF_HOME="$room/hf" HF_HUB_OFFLINE=1
export TOKENIZERS_PARALLELISM=false PYTHONUNBUFFERED=1
"$python" -m scripts.gpu.check "$@" --room "$room"
