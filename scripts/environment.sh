# Sourced by ./run and ./test from the repository root. Defines one function:
#
#     environment FOLDER REQUIREMENT
#
# makes a virtual environment in FOLDER, installs REQUIREMENT there within constraints.txt, and does
# nothing where that has been done since pyproject.toml and constraints.txt last changed.

say() { printf '==> %s\n' "$*"; }

# the first Python that is new enough; tomllib came with 3.11
find_python() {
    for candidate in "${PYTHON:-python3}" python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    printf 'bntt needs Python 3.11 or newer, and "%s" is not: %s.\n' "${PYTHON:-python3}" \
        "$("${PYTHON:-python3}" --version 2>&1 || true)" >&2
    printf 'Install one, or name it: PYTHON=/path/to/python3.12 %s\n' "$0" >&2
    return 1
}

environment() {
    folder=$1 requirement=$2
    stamp="$folder/.bntt-ready"
    # an environment remembers absolute paths, so a moved clone needs a new one
    state="$requirement in $PWD $(cat pyproject.toml constraints.txt | cksum)"
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$state" ]; then
        return 0
    fi
    python=$(find_python) || return 1
    say "Setting up $folder with $("$python" --version). PyTorch is large: allow a minute or two, and" \
        "the time of the download the first time."
    if ! "$python" -m venv --clear "$folder"; then
        printf 'Python could not make a virtual environment. On Debian and Ubuntu: ' >&2
        printf 'sudo apt install python3-venv. Then run %s again.\n' "$0" >&2
        return 1
    fi
    if ! "$folder/bin/python" -m pip install --quiet --disable-pip-version-check \
        -c constraints.txt -e "$requirement"; then
        printf 'The installation failed; see above. A network connection is needed this once.\n' >&2
        printf 'Then run %s again: what was downloaded is kept.\n' "$0" >&2
        return 1
    fi
    printf '%s\n' "$state" >"$stamp"
}
