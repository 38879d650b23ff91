#!/bin/sh
# The tests with the lowest or the newest versions that pyproject.toml allows, in a virtual environment of their own.
#
#   sh scripts/versions.sh lowest                                        # all tests but the slow ones
#   sh scripts/versions.sh newest tests/methods -k contract              # these tests
#   OVERRIDE='torch==2.13.0+cpu' sh scripts/versions.sh lowest           # another version than the lowest of a package
#
# uv (https://docs.astral.sh/uv, `pip install uv`) chooses: of each package that pyproject.toml names the lowest version,
# or the newest; of what these need the newest that fits. VENV=FOLDER is the environment (.venv-lowest, .venv-newest),
# UV=PROGRAM is uv, PYTHON the interpreter.
set -eu
cd "$(dirname "$0")/.."
case ${1:-} in
    lowest) resolution=lowest-direct ;;
    newest) resolution=highest ;;
    *)
        echo "usage: sh scripts/versions.sh lowest|newest [arguments of pytest]" >&2
        exit 2
        ;;
esac
venv=${VENV:-.venv-$1}
uv=${UV:-uv}
shift
[ $# -gt 0 ] || set -- tests

"$uv" venv --quiet --clear --python "${PYTHON:-python3}" "$venv"
echo "${OVERRIDE:-}" >"$venv/override.txt"
"$uv" pip install --quiet --python "$venv/bin/python" --resolution "$resolution" --override "$venv/override.txt" \
    --editable '.[dev]'
"$uv" pip list --python "$venv/bin/python" | grep -E '^(torch|transformers|peft|hydra-core|datasets|accelerate) '
exec "$venv/bin/python" -m pytest -m "not slow" "$@"
