#!/bin/sh
# Source distribution and wheel: built, installed into clean virtual environments, and run from an empty folder.
#
#   sh scripts/package_check.sh                        # minutes
#   VERSIONS=3.11 sh scripts/package_check.sh          # one Python
#   sh scripts/package_check.sh full                   # no environment borrows its dependencies
#
# Every Python of VERSIONS that is on this machine is tried; a line says which ones are not. PYTHON (.venv/bin/python) has
# the package `build`. The Python of its version borrows the dependencies that are installed there, unless `full`; all
# others get theirs as a user would, which takes 6 GB each for as long as they are tried.
set -eu
export UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-300}" # seconds; some wheels have a gigabyte
cd "$(dirname "$0")/.."
root=$PWD
case ${1:-} in
    "" | full) mode=${1:-borrow} ;;
    *)
        echo "usage: sh scripts/package_check.sh [full]" >&2
        exit 2
        ;;
esac
PYTHON=${PYTHON:-$root/.venv/bin/python}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset PYTHONPATH

quietly() { # what a command says is shown only if it fails
    "$@" >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        exit 1
    }
}

interpreter() { # of a version, if it is on this machine; pyenv keeps those that are not active in folders of their own
    for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
        if "$candidate" -c "" 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
}

purelib() { "$1" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }

run_from_an_empty_folder() { # an installed distribution; a wheel also trains, and one from source is the same wheel
    rm -rf "$work/empty"
    mkdir "$work/empty"
    cd "$work/empty"
    case $("$work/venv/bin/python" -c 'import inducer_bench; print(inducer_bench.__file__)') in
        "$work/venv"/*) ;;
        *) echo "inducer_bench is not the installed one" >&2; exit 1 ;;
    esac
    program=$work/venv/bin/inducer-bench
    quietly "$program" --version
    quietly "$program" validate experiment=nlu_mini
    quietly "$program" ls methods
    case $1 in
        *.whl)
            quietly "$program" preset=mini method=inducer task.max_train=64 task.max_eval=32 trainer.epochs=1
            quietly "$program" ls runs
            grep -q inducer "$work/log"
            ;;
    esac
    cd "$root"
}

quietly "$PYTHON" -m build --outdir "$work/dist" .
"$PYTHON" -m scripts.package_contents "$work"/dist/*
quietly "$PYTHON" -m venv "$work/tools"
quietly "$work/tools/bin/python" -m pip install uv
uv=$work/tools/bin/uv
here=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')

passed=0
for version in ${VERSIONS:-3.11 3.12 3.13}; do
    python=$(interpreter "$version")
    if [ -z "$python" ]; then
        echo "Python $version: skipped, it is not on this machine"
        continue
    fi
    rm -rf "$work/venv"
    quietly "$uv" venv --python "$python" "$work/venv"
    export VIRTUAL_ENV="$work/venv"
    if [ "$mode" = full ] || [ "$version" != "$here" ]; then
        quietly "$uv" pip install --constraint constraints.txt "$work"/dist/*.whl
        quietly "$uv" pip check
        how="all dependencies installed, $(du -sh "$work/venv" | cut -f 1)"
    else
        purelib "$PYTHON" >"$(purelib "$work/venv/bin/python")/borrowed.pth"
        how="dependencies borrowed"
    fi
    for built in "$work"/dist/*.whl "$work"/dist/*.tar.gz; do
        quietly "$uv" pip install --no-deps --reinstall "$built"
        run_from_an_empty_folder "$built"
        echo "Python $version: $(basename "$built") runs from an empty folder ($how)"
    done
    passed=$((passed + 1))
done
[ "$passed" -gt 0 ] || { echo "none of these Pythons is on this machine" >&2; exit 1; }
