#!/bin/sh
# Source distribution and wheel: built, installed into clean virtual environments, and run from an empty folder.
#
#   sh scripts/package_check.sh          # dependencies are borrowed from the environment of PYTHON: a minute
#   sh scripts/package_check.sh full     # dependencies are installed as a user would: minutes, gigabytes
#
# Every Python of VERSIONS that is on this machine is tried; a line says which ones are not. PYTHON (.venv/bin/python) has
# the package `build`. A Python of another version than PYTHON cannot borrow, and so always installs in full.
set -eu
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

"$PYTHON" -m build --outdir "$work/dist" . >"$work/build.log" 2>&1 || { cat "$work/build.log" >&2; exit 1; }
"$PYTHON" -m scripts.package_contents "$work"/dist/*
here=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
libraries=$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

interpreter() { # of a version, if it is on this machine; pyenv keeps those that are not active in folders of their own
    for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
        if "$candidate" -c "" 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
}

passed=0
for version in ${VERSIONS:-3.11 3.12 3.13}; do
    python=$(interpreter "$version")
    if [ -z "$python" ]; then
        echo "Python $version: skipped, it is not on this machine"
        continue
    fi
    for built in "$work"/dist/*.whl "$work"/dist/*.tar.gz; do
        venv=$work/venv
        rm -rf "$venv" "$work/empty"
        "$python" -m venv "$venv"
        if [ "$mode" = full ] || [ "$version" != "$here" ]; then
            "$venv/bin/python" -m pip install --quiet --constraint constraints.txt "$built"
            how="all dependencies installed"
        else
            "$venv/bin/python" -m pip uninstall --quiet --yes setuptools # venv brings one that is older than torch's
            "$venv/bin/python" -m pip install --quiet --no-deps "$built"
            echo "$libraries" >"$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/borrowed.pth"
            how="dependencies borrowed"
        fi
        "$venv/bin/python" -m pip check >"$work/check.log" || { cat "$work/check.log" >&2; exit 1; }
        mkdir "$work/empty"
        (
            cd "$work/empty"
            export PATH="$venv/bin:$PATH"
            case $(python -c 'import inducer_bench; print(inducer_bench.__file__)') in
                "$venv"/*) ;;
                *) echo "inducer_bench is not the installed one" >&2; exit 1 ;;
            esac
            inducer-bench --version >/dev/null
            inducer-bench validate experiment=nlu_mini >/dev/null
            inducer-bench ls methods >/dev/null
            inducer-bench preset=mini method=inducer task.max_train=64 task.max_eval=32 trainer.epochs=1 >../run.log 2>&1 ||
                { cat ../run.log >&2; exit 1; }
            inducer-bench ls runs | grep -q inducer
        )
        echo "Python $version: $(basename "$built") runs from an empty folder ($how)"
        passed=$((passed + 1))
    done
done
[ "$passed" -gt 0 ] || { echo "none of these Pythons is on this machine" >&2; exit 1; }
