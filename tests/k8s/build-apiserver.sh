#!/bin/sh
# build-apiserver: puts a real etcd and a real kube-apiserver under build/k8s/bin, once. etcd is Debian 12's package,
# kube-apiserver is compiled from Debian 12's source package `kubernetes` (1.20) with Debian 12's Go, on Debian 13 too,
# so that both test against the same. Nothing is installed: packages are only unpacked. apt checks the archive's
# signature.
#
# Exit code 77: the packages cannot be had here (no network, not Debian); the reason is the last line on stderr.
set -eu

cd "$(dirname "$0")/../.."
k8s=$PWD/build/k8s
stamp=$k8s/.complete
work=$k8s/work
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}

[ -e "$stamp" ] && [ "$stamp" -nt tests/k8s/build-apiserver.sh ] && exit 0

cannot() {
    echo "$*" >&2
    exit 77
}

# Its own apt, with Debian 12's archive and nothing else; the system's stays as it is.
set_up_apt() {
    mkdir -p "$work/apt/state/lists/partial" "$work/apt/cache/archives/partial" "$work/deb"
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -e "$keyring" ] || cannot "$keyring is missing: this is not Debian"
    for kind in deb deb-src; do
        echo "$kind [signed-by=$keyring] $mirror bookworm main"
    done >"$work/apt/sources.list"
    cat >"$work/apt/apt.conf" <<END
Dir::State "$work/apt/state";
Dir::State::status "/var/lib/dpkg/status";
Dir::Cache "$work/apt/cache";
Dir::Etc::SourceList "$work/apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
APT::Sandbox::User "$(id -un)";
Acquire::Retries "3";
END
    export APT_CONFIG="$work/apt/apt.conf"
}

fetch() {
    apt-get update -qq -o APT::Update::Error-Mode=any || cannot "no package lists from $mirror"
    (
        cd "$work/deb"
        apt-get download -qq etcd-server golang-1.19-go golang-1.19-src golang-github-modern-go-reflect2-dev
        apt-get source -qq --download-only kubernetes
    ) || cannot "no packages from $mirror"
    for deb in "$work"/deb/*.deb; do
        dpkg -x "$deb" "$work/root"
    done
    mkdir -p "$source"
    tar -xzf "$work"/deb/kubernetes_*.orig.tar.gz -C "$source" --strip-components=1
}

# The source names its packages k8s.io/kubernetes/..., and this Go takes its vendor directory as it is only in the mode
# without modules. The vendored reflect2 is from before Go 1.18, whose maps it crashes on: Debian has the next version.
compile() {
    export GOROOT="$work/root/usr/lib/go-1.19" GOPATH="$work/gopath" GOCACHE="$work/gocache" GO111MODULE=off
    export CGO_ENABLED=0 GOFLAGS="${GOFLAGS:-}" GOTOOLCHAIN=local
    go=$GOROOT/bin/go
    rm -rf "$source/vendor/github.com/modern-go/reflect2"
    cp -rL "$work/root/usr/share/gocode/src/github.com/modern-go/reflect2" "$source/vendor/github.com/modern-go/"
    cd "$source"
    $go build -o "$work/openapi-gen" k8s.io/kubernetes/vendor/k8s.io/kube-openapi/cmd/openapi-gen
    packages=$(grep -rl --include='*.go' '^// +k8s:openapi-gen=' vendor/k8s.io/api/ vendor/k8s.io/apimachinery/pkg \
        vendor/k8s.io/apiextensions-apiserver/pkg/apis vendor/k8s.io/kube-aggregator/pkg/apis |
        xargs -n1 dirname | sort -u | sed 's,^,k8s.io/kubernetes/,' | paste -sd, -)
    "$work/openapi-gen" --logtostderr -i "$packages" -p k8s.io/kubernetes/pkg/generated/openapi \
        -O zz_generated.openapi -h vendor/k8s.io/code-generator/hack/boilerplate.go.txt -r "$work/violations"
    $go build -ldflags '-s -w -X k8s.io/kubernetes/vendor/k8s.io/component-base/version.gitVersion=v1.20.2' \
        -o "$work/kube-apiserver" k8s.io/kubernetes/cmd/kube-apiserver
}

command -v apt-get >/dev/null || cannot "there is no apt-get: this is not Debian"
rm -rf "$k8s"
source=$work/gopath/src/k8s.io/kubernetes
echo "building kube-apiserver from Debian's source into $k8s (once, a few minutes)"
set_up_apt
fetch
(compile)
mkdir -p "$k8s/bin"
mv "$work/kube-apiserver" "$work/root/usr/bin/etcd" "$k8s/bin/"
chmod -R u+w "$work"
rm -rf "$work"
touch "$stamp"
ls -l "$k8s/bin"
