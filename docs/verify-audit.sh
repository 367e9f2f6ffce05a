#!/bin/sh
# Verifies one segment of the audit trail against the checkpoints, without partner-pipelines: jq, sha256sum, openssl.
# verify-audit.sh SEGMENT.jsonl CHECKPOINTS_DIR PUBLIC_KEY.pem
# PUBLIC_KEY.pem is what `partner-pipelines audit key` printed, kept elsewhere than the trail. Format: docs/audit-format.md
set -eu
export LC_ALL=C
segment=$1 checkpoints=$2 trusted=$3
for tool in jq sha256sum openssl base64; do
    command -v "$tool" >/dev/null || { echo "$tool is not installed" >&2; exit 2; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad() { echo "BAD: $1" >&2; exit 1; }
sha256() { sha256sum | cut -d ' ' -f 1; }
fingerprint() { openssl pkey -pubin -in "$1" -outform DER | sha256; }
pem() { printf -- '-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n' "$1" >"$2"; }

# The checkpoints: number, previous hash and signature of every line, from the first one on.
number=0 previous=$(printf '0%.0s' $(seq 64)) key=''
for file in "$checkpoints"/*.jsonl; do
    while IFS= read -r line; do
        number=$((number + 1))
        where="checkpoint $number in ${file##*/}"
        printf '%s\n' "$line" >"$work/line"
        if [ $number = 1 ]; then  # the first one carries its own key
            key=$work/key.pem
            pem "$(jq -r .public_key "$work/line")" "$key"
        fi
        [ "$(jq .number "$work/line")" = $number ] || bad "$where has another number"
        [ "$(jq -r .previous "$work/line")" = "$previous" ] || bad "$where does not follow the one before it"
        [ "$(jq -r .key "$work/line")" = "$(fingerprint "$key")" ] || bad "$where names another key"
        printf '%s' "${line%%,\"signature\":*}" >"$work/signed"
        jq -r .signature "$work/line" | base64 -d >"$work/signature"
        openssl pkeyutl -verify -pubin -inkey "$key" -rawin -in "$work/signed" -sigfile "$work/signature" >/dev/null 2>&1 ||
            bad "$where is not signed by its key"
        if [ "$(jq -r .kind "$work/line")" = handover ]; then  # the old key names the next one
            pem "$(jq -r .public_key "$work/line")" "$key"
        fi
        previous=$(sha256 <"$work/line")
    done <"$file"
done
[ $number -gt 0 ] && [ "$(fingerprint "$key")" = "$(fingerprint "$trusted")" ] || bad "the last key is not $trusted"
[ "$(jq -r .kind "$work/line")" = checkpoint ] || bad "the last line is a hand-over that the new key has not taken"
echo "$number checkpoints: signed, in one chain"

# The segment: its own chain up to where the last checkpoint that lists it says.
name=$(basename "$segment" .jsonl)
mark=$(cat "$checkpoints"/*.jsonl | jq -c --arg name "$name" '.segments[$name] // empty' | tail -n 1)
[ -n "$mark" ] || bad "no checkpoint lists $name"
records=$(printf '%s' "$mark" | jq .records)
[ "$(head -n "$records" "$segment" | wc -c)" -eq "$(printf '%s' "$mark" | jq .bytes)" ] || bad "$name has another length than was signed"
number=0 previous=$(printf '0%.0s' $(seq 64))
while IFS= read -r line; do
    number=$((number + 1))
    body=${line%,\"hash\":*}
    previous=$(printf '%s%s' "$previous" "$body" | sha256)
    [ "$line" = "$body,\"hash\":\"$previous\"}" ] || bad "line $number of $name does not follow"
    [ $number -lt "$records" ] || break
done <"$segment"
[ "$previous" = "$(printf '%s' "$mark" | jq -r .head)" ] || bad "the chain of $name was made anew: its line $number is not what was signed"
echo "$name: $records records, as they were signed"
