#!/bin/sh
# fetch-peers: unpacks the programs that tests run against under build/peers, from Debian's packages, without installing
# anything: nobody's machine gets a service started by a test. The libraries they need come with the build packages.
set -eu

cd "$(dirname "$0")/.."
peers=build/peers
stamp=$peers/.complete

[ -e "$stamp" ] && [ "$stamp" -nt tests/fetch-peers.sh ] && exit 0

echo "unpacking the programs that tests run against into $peers"
rm -rf "$peers"
mkdir -p "$peers/deb"
[ "$(id -u)" != 0 ] || apt-get update -qq
(
    cd "$peers/deb"
    # apt drops to its own user for downloads, which may not write here; that is only a warning.
    apt-get download -qq victoria-metrics prometheus prometheus-node-exporter nginx nginx-common 2>/dev/null
    # For what these say of compose files and of Kubernetes's types: their programs are not run.
    apt-get download -qq docker-compose python3-kubernetes 2>/dev/null
    # Debian 13 has promtool in a package of its own, Debian 12 has it in prometheus; vmagent may move likewise.
    for moved in promtool vmagent; do
        apt-get download -qq "$moved" 2>/dev/null || true
    done
)
for deb in "$peers"/deb/*.deb; do
    dpkg -x "$deb" "$peers"
done

for program in prometheus promtool prometheus-node-exporter victoria-metrics vmagent nginx; do
    path=$(find "$peers/usr" -name "$program" -type f | head -n 1)
    if [ -z "$path" ] || ldd "$path" 2>/dev/null | grep 'not found' >&2; then
        echo "fetch-peers: $program is missing or lacks a library" >&2
        exit 1
    fi
    echo "$path"
done
touch "$stamp"
