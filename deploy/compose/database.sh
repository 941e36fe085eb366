#!/bin/sh
# database.sh makes konbit's own role and database when the server is new; the image
# runs it. The role owns that database and is nobody elsewhere.
set -eu
psql --set=ON_ERROR_STOP=1 --set=password="$(cat /run/secrets/konbit-password)" --username=postgres --dbname=postgres <<'SQL'
CREATE ROLE konbit LOGIN PASSWORD :'password';
CREATE DATABASE konbit OWNER konbit TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8';
REVOKE ALL ON DATABASE konbit FROM PUBLIC;
SQL
