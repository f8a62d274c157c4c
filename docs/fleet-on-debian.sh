#!/usr/bin/env bash
# Makes a Debian the server of a fleet without containers: PostgreSQL, mosquitto, and a collector as a service.
# Its user keeps the server and may say sudo; nobody else may write the checkout. Run again, it keeps accounts and rows.
set -euo pipefail
cd "$(dirname "$0")/.."
user=$(id -un)
sudo apt-get install postgresql mosquitto openssl python3-venv
[ -s collector.password ] || (umask 077 && openssl rand -hex 16 >collector.password)

database() { # as its administrator, who cannot read this folder
  (cd / && sudo -u postgres "$@")
}
is_there() { # whether the query $1 finds something
  database psql -Atc "$1" | grep -q 1
}
is_there "SELECT 1 FROM pg_roles WHERE rolname = '$user'" || database createuser "$user"
is_there "SELECT 1 FROM pg_database WHERE datname = 'fleet'" || database createdb --owner="$user" fleet
if ! is_there "SELECT 1 FROM pg_roles WHERE rolname = 'reader'"; then # who only reads: a dashboard, Grafana
  (umask 077 && openssl rand -hex 16 >reader.password)
  database psql --quiet --single-transaction --set ON_ERROR_STOP=1 fleet <<SQL
CREATE ROLE reader LOGIN PASSWORD '$(cat reader.password)';
CREATE SCHEMA IF NOT EXISTS fleet AUTHORIZATION "$user";
GRANT USAGE ON SCHEMA fleet TO reader;
GRANT SELECT ON ALL TABLES IN SCHEMA fleet TO reader;
ALTER DEFAULT PRIVILEGES FOR ROLE "$user" IN SCHEMA fleet GRANT SELECT ON TABLES TO reader;
SQL
fi

if ! sudo test -e /etc/mosquitto/affect-edge.passwd; then
  (umask 077 && printf 'collector:%s\n' "$(cat collector.password)" >accounts)
  mosquitto_passwd -U accounts
  sudo install -o mosquitto -m 600 accounts /etc/mosquitto/affect-edge.passwd
  rm accounts
  sudo install -o mosquitto -m 600 container/fleet/rules /etc/mosquitto/affect-edge.acl
fi
printf 'listener 1883\nallow_anonymous false\npassword_file /etc/mosquitto/affect-edge.passwd\nacl_file /etc/mosquitto/affect-edge.acl\n' |
  sudo tee /etc/mosquitto/conf.d/affect-edge.conf >/dev/null
sudo systemctl restart mosquitto

python3 -m venv .venv
.venv/bin/pip install '.[fleet]'
sed "s|CHECKOUT|$PWD|; s|KEEPER|$user|" systemd/affect-edge-collector.service | sudo tee /etc/systemd/system/affect-edge-collector.service >/dev/null
sudo systemctl daemon-reload
sudo systemctl enable affect-edge-collector
sudo systemctl restart affect-edge-collector
