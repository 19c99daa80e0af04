#!/usr/bin/env bash
# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# PYTHON=3.12 TORCH=2.6.0 NUMPY=1.26.4 platform.sh [TEST...]: run the tests that need no ROS with
# other versions of Python, torch and numpy, in an environment of their own (5 to 7 GB with torch's
# CUDA libraries), build/platform/NAME. The other packages are the newest ones that fit. KEEP=1
# keeps the environment afterwards; otherwise it is removed. The versions and the result are
# printed at the end, and added to build/platform/results.txt.
set -euo pipefail
cd "$(dirname "$0")/.."

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

readonly wanted=${PYTHON:-3.11} torch=${TORCH:-} numpy=${NUMPY:-}
readonly name=python$wanted-torch${torch:-newest}-numpy${numpy:-newest}
readonly folder=build/platform/${name//\//_}
readonly tests=("${@:-test/model test/tracking test/runtime test/media test/data}")

find_python() {
  local candidate
  for candidate in "$wanted" "python$wanted" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$wanted".*/bin/python; do
    if "$candidate" -c 'import venv' 2> /dev/null; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  die "no Python $wanted found; give a version that is installed, or the path of an interpreter"
}

python=$(find_python)
if [ ! -e "$folder/.installed" ]; then
  rm -rf "$folder"
  "$python" -m venv "$folder"
  # What the tests of the core need, without pins. torchvision 0.21 is for torch 2.6, and so on.
  grep -E '^[a-z]' tools/requirements.txt | sed 's/==.*//' |
    grep -vxE 'cmake|faster-coco-eval|motmetrics|ninja|ray|ruff|tensorboard|trackers|trackeval|torch|torchvision|numpy' > "$folder/requirements.txt"
  minor=${torch#*.}
  printf 'torch%s\ntorchvision%s\nnumpy%s\n' "${torch:+==$torch}" \
    "${torch:+==0.$((${minor%%.*} + 15)).*}" "${numpy:+==$numpy}" >> "$folder/requirements.txt"
  # uv, whose resolver finds versions that fit together where pip gives up.
  "$folder/bin/pip" install --quiet --disable-pip-version-check uv
  UV_NATIVE_TLS=1 "$folder/bin/uv" pip install --quiet --no-cache --python "$folder/bin/python" \
    -r "$folder/requirements.txt" || die "these versions cannot be installed together: $name"
  touch "$folder/.installed"
fi
versions=$("$folder/bin/python" -c '
import platform, numpy, scipy, torch, torchvision
print("Python", platform.python_version(), *(f"{m.__name__} {m.__version__}" for m in (torch, torchvision, numpy, scipy)))')
printf '%s\n' "$versions"
code=0
# Unquoted: a list of paths.
# shellcheck disable=SC2068
OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} "$folder/bin/python" -m pytest -q -p no:cacheprovider \
  -m 'not slow and not ros' ${tests[@]} 2>&1 | tee "$folder.log" || code=$?
printf '%s  %s: %s\n' "$(date +%F)" "$versions" "$(tail -n 1 "$folder.log")" | tee -a build/platform/results.txt
[ -n "${KEEP:-}" ] || rm -rf "$folder"
exit "$code"
