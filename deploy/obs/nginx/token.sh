#!/bin/sh
# token: makes a token for one sender. The token goes to standard error, for a person to copy once, or into the file
# TOKEN; standard output gets the line for nginx's map, which has its hash only.
# usage: token.sh NAME [TOKEN] >>/etc/nginx/obs-tokens.map    (then: nginx -s reload; delete the line to end the token)
set -eu

name=${1:-}
case $name in
'' | *[!A-Za-z0-9_-]*)
    echo "usage: token.sh NAME [TOKEN]; a name has letters, digits, - and _" >&2
    exit 2
    ;;
esac

token=$name.$(openssl rand -hex 32)
if [ $# -gt 1 ]; then
    (umask 077 && printf '%s\n' "$token" >"$2")
else
    printf 'the token of %s, shown only now: %s\n' "$name" "$token" >&2
fi
hash=$(printf 'Bearer %s' "$token" | openssl dgst -md5 -binary | openssl base64 | tr '+/' '-_' | tr -d '=')
printf '"~^Bearer %s\\." "%s"; # %s\n' "$name" "$hash" "$(date -u +%Y-%m-%d)"
