#!/bin/sh
# image-root: lays out the root file system of the container image: the program, the libraries it needs, certificates,
# and nothing else; no shell. Prints its size. The Dockerfile calls it, and it can be called by hand to look at the
# image or, where there is no container engine, to run it with image-run.sh.
# usage: deploy/image-root.sh PROGRAM ROOT
set -eu

program=$1
root=$2

mkdir -p "$root/usr/bin" "$root/etc/ssl/certs" "$root/var/lib/obsagent" "$root/tmp"
chmod 1777 "$root/tmp"
cp "$program" "$root/usr/bin/obsagent"
strip "$root/usr/bin/obsagent"

# The closure of shared libraries, the loader included, at the places where the loader looks for them.
ldd "$program" | grep -o '/[^ ]*' | sort -u | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
done
# What the C library loads by itself to look up names.
for library in libnss_files.so.2 libnss_dns.so.2 libresolv.so.2; do
    path=$(ldconfig -p | grep -o "/[^ ]*/$library" | head -n 1)
    [ -z "$path" ] || { mkdir -p "$root$(dirname "$path")" && cp -L "$path" "$root$path"; }
done

cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
echo 'obsagent:x:65532:65532::/var/lib/obsagent:/nonexistent' >"$root/etc/passwd"
echo 'obsagent:x:65532:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
chown 65532:65532 "$root/var/lib/obsagent" 2>/dev/null || true
echo "$root: $(du -sm "$root" | cut -f 1) MB, $(find "$root" -name '*.so*' | wc -l) libraries"
