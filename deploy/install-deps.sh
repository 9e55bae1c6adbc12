#!/bin/sh
# install-deps: installs what building (`build`) and testing (`test`) need on Debian 12 or 13. Asks apt only when
# something is missing. The programs that tests run against are not among them: tests/fetch-peers.sh unpacks those.
set -eu

tier=${1:-build}

build_packages="make gcc g++ pkg-config libcurl4-openssl-dev libsnappy-dev libprotobuf-c-dev protobuf-c-compiler
libyaml-dev libmicrohttpd-dev libzstd-dev libxxhash-dev libre2-dev libjansson-dev libc-ares-dev zlib1g-dev libssl-dev
libcrypt-dev ca-certificates"
test_packages="clang libclang-rt-dev clang-format libcmocka-dev python3 python3-pytest openssl curl universal-ctags
binutils git faketime mandoc zsh python3-yaml python3-jsonschema systemd
chromium chromium-driver fonts-dejavu-core"

case $(dpkg --print-architecture 2>/dev/null || echo none) in
amd64 | arm64) build_packages="$build_packages libisal-dev" ;;
none)
    echo "install-deps: this is not Debian; install by hand: $build_packages $test_packages" >&2
    exit 1
    ;;
esac

case $tier in
build) packages=$build_packages ;;
test) packages="$build_packages $test_packages" ;;
*)
    echo "usage: install-deps.sh build|test" >&2
    exit 2
    ;;
esac

missing=
for package in $packages; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
    echo "install-deps: missing:$missing" >&2
    echo "install-deps: run this as root, or install them by hand" >&2
    exit 1
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
