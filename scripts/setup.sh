#!/usr/bin/env bash
# Makes the virtual environment $VENV and installs the project with the extras $EXTRAS.
# Takes uv where it is on the PATH, else venv, else venv without ensurepip and the system's pip.
set -euo pipefail

fail() { printf 'setup: %s\n' "$1" >&2; exit 1; }

[ -n "${PYTHON:-}" ] || fail "no Python 3.11 or newer found. On Debian 12: apt-get install python3"
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "Python 3.11 or newer is needed, $PYTHON is older. On Debian 12: apt-get install python3"

if command -v uv >/dev/null; then
  [ -x "$VENV/bin/python" ] || uv venv --quiet --python "$PYTHON" "$VENV"
  uv pip install --quiet --python "$VENV/bin/python" --editable ".[$EXTRAS]"
  exit 0
fi

if [ ! -x "$VENV/bin/python" ]; then
  if "$PYTHON" -c 'import ensurepip' 2>/dev/null; then
    "$PYTHON" -m venv "$VENV"
  else
    "$PYTHON" -c 'import venv' 2>/dev/null || fail "the venv module is missing. On Debian: apt-get install python3-venv"
    "$PYTHON" -m venv --without-pip "$VENV"
  fi
fi

if "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
  "$VENV/bin/python" -m pip install --quiet --editable ".[$EXTRAS]"
else
  "$PYTHON" -m pip --version >/dev/null 2>&1 ||
    fail "neither ensurepip nor pip is there. On Debian: apt-get install python3-venv (or python3-pip)"
  "$PYTHON" -m pip --python "$VENV/bin/python" install --quiet --editable ".[$EXTRAS]"
fi
