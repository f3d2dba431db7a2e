#!/usr/bin/env bash
# Makes Debian packages of what is built: cloche (program, manual pages, completions, unit), libcloche0 (shared library) and
# libcloche-dev (header, static library, pkg-config). Needs dpkg-dev; the packages can be checked with lintian.
#   packaging/deb.sh VERSION FOLDER
set -euo pipefail
cd "$(dirname "$0")/.."
version=$1 out=$2
arch=$(dpkg --print-architecture)
multiarch=$(dpkg-architecture -qDEB_HOST_MULTIARCH)
maintainer="${DEBFULLNAME:-Cloche maintainers} <${DEBEMAIL:-cloche@cloche.example}>"
# The date of the last commit, so that the same tree makes the same packages.
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH=$epoch
umask 022
rm -rf "$out"
mkdir -p "$out/all" "$out/tree" "$out/debian"

make --no-print-directory install DESTDIR="$PWD/$out/all" PREFIX=/usr LIBDIR="/usr/lib/$multiarch" \
  UNITDIR=/lib/systemd/system >/dev/null
rm -f "$out/all/usr/lib/$multiarch/libcloche.so.0.stripped"
strip --strip-unneeded --remove-section=.comment --remove-section=.note "$out/all/usr/bin/cloche" \
  "$out/all/usr/lib/$multiarch/libcloche.so.0"
strip --strip-debug --enable-deterministic-archives "$out/all/usr/lib/$multiarch/libcloche.a"

take() {  # take PACKAGE PATH... : moves files of the installation into a package
  local package=$1 path
  shift
  for path in "$@"; do
    mkdir -p "$out/tree/$package$(dirname "$path")"
    cp -a "$out/all$path" "$out/tree/$package$path"
  done
}

put_text() {  # put_text PACKAGE PATH : standard input, compressed when the name says so
  mkdir -p "$out/tree/$1$(dirname "$2")"
  if [ "${2%.gz}" != "$2" ]; then gzip -9n >"$out/tree/$1$2"; else cat >"$out/tree/$1$2"; fi
}

documents() {  # documents PACKAGE : what every package has
  local date
  date=$(date -u -R -d "@$epoch")
  printf 'cloche (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md of the source.\n\n -- %s  %s\n' \
    "$version" "$maintainer" "$date" | put_text "$1" "/usr/share/doc/$1/changelog.gz"
  cat <<COPYRIGHT | put_text "$1" "/usr/share/doc/$1/copyright"
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: cloche

Files: *
Copyright: 2026 The Cloche maintainers
License: Apache-2.0
 On Debian systems the full text of the Apache License, version 2.0, is in
 /usr/share/common-licenses/Apache-2.0.
COPYRIGHT
}

libraries() {  # libraries FILE... : the packages of the libraries it needs
  (cd "$out" && dpkg-shlibdeps -O --ignore-missing-info "$@" 2>/dev/null) | sed -n 's/^shlibs:Depends=//p'
}

build() {  # build PACKAGE SECTION DEPENDS SUMMARY : the rest of the description from standard input
  local root=$out/tree/$1
  mkdir -p "$root/DEBIAN"
  {
    printf 'Package: %s\nSource: cloche\nVersion: %s\nArchitecture: %s\nMaintainer: %s\n' "$1" "$version" "$arch" "$maintainer"
    printf 'Installed-Size: %s\nDepends: %s\nSection: %s\nPriority: optional\n' \
      "$(du -k -s --exclude=DEBIAN "$root" | cut -f 1)" "$3" "$2"
    [ "$1" != libcloche0 ] || echo "Multi-Arch: same"
    [ "$1" != libcloche-dev ] || echo "Multi-Arch: same"
    printf 'Description: %s\n' "$4"
    sed 's/^$/./; s/^/ /'
  } >"$root/DEBIAN/control"
  (cd "$root" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
  find "$root" -type d -exec chmod 755 {} +
  find "$root" -newermt "@$epoch" -exec touch -h -d "@$epoch" {} +
  dpkg-deb --root-owner-group -Zxz --build "$root" "$out" >/dev/null
}

printf 'Source: cloche\n\nPackage: cloche\nArchitecture: any\n' >"$out/debian/control" # dpkg-shlibdeps asks for it

find "$out/all/usr/share/man" -name '*.1' -exec gzip -9n {} +
take cloche /usr/bin/cloche /lib/systemd/system/cloche.service
take cloche $(cd "$out/all" && find usr/share -type f -printf '/%p\n')
put_text cloche /usr/share/doc/cloche/running-a-server.md.gz <docs/running-a-server.md
documents cloche
build cloche science "$(libraries all/usr/bin/cloche)" "run and serve open language models, offline, with the same bits anywhere" <<'TEXT'
One program that runs open language models (GGUF files and Hugging Face
folders) on processors, and serves them to a closed network through the
OpenAI and Ollama interfaces, with API keys, quotas and an audit log.

The answer does not depend on the instruction set, the number of threads or
what else the machine does, so it can be given a receipt and computed again.
The service is not started by itself: systemctl enable --now cloche.
TEXT

take libcloche0 "/usr/lib/$multiarch/libcloche.so.0"
documents libcloche0
mkdir -p "$out/tree/libcloche0/DEBIAN"
echo "libcloche 0 libcloche0 (>= $version)" >"$out/tree/libcloche0/DEBIAN/shlibs"
echo "activate-noawait ldconfig" >"$out/tree/libcloche0/DEBIAN/triggers"
chmod 644 "$out/all/usr/lib/$multiarch/libcloche.so.0" "$out/tree/libcloche0/usr/lib/$multiarch/libcloche.so.0"
build libcloche0 libs "$(libraries "all/usr/lib/$multiarch/libcloche.so.0")" "run open language models from C, shared library" <<'TEXT'
The library of cloche: opens models, tokenizes, answers, and gives the same
bits on any processor.
TEXT

take libcloche-dev /usr/include/cloche "/usr/lib/$multiarch/libcloche.a" "/usr/lib/$multiarch/libcloche.so" \
  "/usr/lib/$multiarch/pkgconfig"
documents libcloche-dev
build libcloche-dev libdevel "libcloche0 (= $version)" "run open language models from C, development files" <<'TEXT'
The header, the static library and the pkg-config file of libcloche.
TEXT

rm -rf "$out/all" "$out/tree" "$out/debian"
ls "$out"/*.deb
