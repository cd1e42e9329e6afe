#!/bin/bash
# A layer in bash: each call of the interface is a process of its own, with caches of its own.
source charms.reactive.sh

CREATE='create certificate signing request'
SIGN='sign certificate signing request'
AVAILABLE='signed certificate available'

pem() {
    echo "$1 of $JUJU_UNIT_NAME:"
    printf -- '-----BEGIN %s-----\n%s\n-----END %s-----\n' "$1" "$(echo "$2" | base64)" "$1"
}

@when "$CREATE"
function ask() {
    relation_call --flag="$CREATE" set_csr "$(pem 'CERTIFICATE REQUEST' "$JUJU_UNIT_NAME")"
}

@when "$SIGN"
function sign() {
    for unit in $(relation_call --flag="$SIGN" get_csr_map | grep -oE "'[a-z]+/[0-9]+'" | tr -d "'"); do
        relation_call --flag="$SIGN" set_cert "$unit" "$(pem CERTIFICATE "$unit")"
    done
}

@when "$AVAILABLE"
function install() {
    relation_call --flag="$AVAILABLE" get_signed_cert >> installed
    clear_flag "$AVAILABLE"
}

reactive_handler_main
