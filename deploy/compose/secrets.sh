#!/bin/sh
# secrets.sh makes the passwords that compose.yaml hands to the containers, once.
# Nobody but the owner of the folder gets at the files; those who run in the
# containers have other users and must be able to read them.
set -eu
cd "$(dirname "$0")"
mkdir -m 0700 secrets
password() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
konbit=$(password)
printf '%s' "$(password)" >secrets/postgres-password
printf '%s' "$konbit" >secrets/konbit-password
printf 'postgres:5432:konbit:konbit:%s\n' "$konbit" >secrets/pgpass
chmod 0644 secrets/*
