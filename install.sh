#!/usr/bin/env bash
# Installs Affect Edge as two systemd services on a Raspberry Pi or another Debian-like machine.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: ./install.sh [--yes] [--dry-run] [--local] [--no-broker]
       ./install.sh --uninstall [--purge] [--yes]

Installs the agent and the dashboard from this folder as systemd services. Running it again updates the program and
keeps configuration and data.

  --yes         ask nothing
  --dry-run     check and print the plan, change nothing
  --local       the dashboard answers on this machine only (default: on the whole network, by HTTPS)
  --no-broker   do not install an MQTT broker
  --uninstall   remove services and program; configuration and data stay
  --purge       with --uninstall: remove configuration and data, too

Program in /opt/affect-edge, configuration in /etc/affect-edge, data in /var/lib/affect-edge.
TEXT
}

yes=no dry=no network=yes broker=yes uninstall=no purge=no
for argument in "$@"; do
  case "$argument" in
    --yes) yes=yes ;;
    --dry-run) dry=yes ;;
    --local) network=no ;;
    --no-broker) broker=no ;;
    --uninstall) uninstall=yes ;;
    --purge) purge=yes ;;
    -h | --help) usage; exit 0 ;;
    *) echo "install.sh: unknown option $argument; see --help" >&2; exit 2 ;;
  esac
done

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program=/opt/affect-edge settings=/etc/affect-edge data=/var/lib/affect-edge
units=(affect-edge-agent.service affect-edge-dashboard.service)
step=checking

fail() { echo "install.sh: $*" >&2; exit 1; }
say() { echo "• $*"; }
left() {
  [ "$1" = 0 ] || [ "$step" = checking ] || echo "install.sh: stopped while $step; mend what is said above and run it again." >&2
}
trap 'left $?' EXIT

confirm() {
  [ "$yes" = no ] || return 0
  [ -t 0 ] || fail "nobody is there to answer; give --yes"
  local answer
  read -r -p "$1 [y/N] " answer
  [ "$answer" = y ] || [ "$answer" = Y ] || { echo "Nothing was changed."; exit 0; }
}

need_root() { [ "$(id -u)" = 0 ] || fail "must run as root: sudo ./install.sh $*"; }

remove() {
  echo "This removes the services and $program.$([ "$purge" = yes ] && echo " Configuration ($settings) and data ($data) go, too.")"
  [ "$dry" = no ] || exit 0
  need_root --uninstall
  confirm "Go on?"
  step=uninstalling
  systemctl disable --now "${units[@]}" 2>/dev/null || true
  for unit in "${units[@]}"; do rm -f "/etc/systemd/system/$unit"; done
  systemctl daemon-reload
  rm -rf "$program"
  if [ "$purge" = yes ]; then
    rm -rf "$settings" "$data"
    userdel affect-edge 2>/dev/null || true
  else
    say "configuration stays in $settings, data in $data"
  fi
  say "removed"
}

check() {
  [ "$(getconf LONG_BIT)" = 64 ] || fail "a 64-bit system is needed (LiteRT has no 32-bit wheels); install the 64-bit Raspberry Pi OS"
  command -v apt-get >/dev/null || fail "needs a Debian-like system with apt-get"
  command -v systemctl >/dev/null || fail "needs systemd"
  local free
  free=$(df --output=avail -m /opt 2>/dev/null | tail -n 1 || df --output=avail -m / | tail -n 1)
  [ "$free" -ge 1500 ] || fail "needs 1500 MB free below /opt, there are $free MB"
  packages=(python3 python3-venv ca-certificates openssl bluez)
  if apt-cache show python3-picamera2 >/dev/null 2>&1; then packages+=(python3-picamera2); fi
  if [ "$broker" = yes ]; then packages+=(mosquitto); fi
}

plan() {
  echo "This will"
  say "install the packages ${packages[*]}"
  say "install Affect Edge $(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$here/edge_agent/__init__.py") into $program, run by the new user affect-edge"
  say "write the configuration to $settings (an existing one is kept)"
  say "keep data in $data"
  if [ "$network" = yes ]; then say "let the dashboard answer on the whole network by HTTPS, port 8080"; else say "let the dashboard answer on this machine only, port 8080"; fi
  say "start both services now and at every boot"
}

install_packages() {
  step="installing packages"
  say "$step"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "Python 3.11 or newer is needed, this system has $(python3 --version)"
}

install_program() {
  step="installing the program"
  say "$step (some minutes)"
  id affect-edge >/dev/null 2>&1 || useradd --system --home-dir "$data" --shell /usr/sbin/nologin affect-edge
  # Who may talk to Bluetooth sensors; the group comes with bluez.
  if getent group bluetooth >/dev/null; then usermod --append --groups bluetooth affect-edge; fi
  install -d -m 755 "$program"
  # System packages are visible because libcamera and picamera2 exist only there.
  [ -x "$program/venv/bin/python" ] || python3 -m venv --system-site-packages "$program/venv"
  local extra=""
  # The system's simplejpeg of Raspberry Pi OS 12 was built for an older NumPy than ours.
  if [ -d /usr/lib/python3/dist-packages/picamera2 ]; then extra=simplejpeg; fi
  # shellcheck disable=SC2086
  "$program/venv/bin/pip" install -q --disable-pip-version-check --upgrade "${here}[ble]" $extra
  install -m 644 "$here/README.md" "$here/LICENSE" "$here/CHANGELOG.md" "$program/"
  "$program/venv/bin/python" -m compileall -q "$program/venv/lib" >/dev/null || true
}

certificate() {
  [ -e "$settings/tls/cert.pem" ] && return
  install -d -m 750 -g affect-edge "$settings/tls"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=$(hostname)" \
    -addext "subjectAltName=DNS:$(hostname),DNS:$(hostname).local,DNS:localhost,IP:127.0.0.1" \
    -keyout "$settings/tls/key.pem" -out "$settings/tls/cert.pem" 2>/dev/null
  chown root:affect-edge "$settings/tls/key.pem" "$settings/tls/cert.pem"
  chmod 640 "$settings/tls/key.pem"
}

configure() {
  step="writing the configuration"
  say "$step"
  install -d -m 750 -g affect-edge "$settings"
  install -d -m 750 -o affect-edge -g affect-edge "$data"
  if [ "$network" = yes ]; then certificate; fi
  if [ ! -e "$settings/affect-edge.toml" ]; then
    install -m 640 -g affect-edge "$here/config/affect-edge.toml" "$settings/affect-edge.toml"
    if [ "$network" = yes ]; then
      sed -i -e '/^\[dashboard\]/,$ { s/^host = "127.0.0.1" /host = "0.0.0.0"   /; s/^# certificate = /certificate = /; s/^# key = /key = / }' \
        "$settings/affect-edge.toml"
    fi
  fi
  "$program/venv/bin/affect-edge" config check "$settings/affect-edge.toml"
}

start() {
  step="starting the services"
  say "$step"
  for unit in "${units[@]}"; do install -m 644 "$here/systemd/$unit" "/etc/systemd/system/$unit"; done
  systemctl daemon-reload
  systemctl enable --quiet "${units[@]}"
  systemctl restart affect-edge-dashboard.service
  systemctl restart affect-edge-agent.service || fail "the agent did not start; see: journalctl -u affect-edge-agent -n 30"
}

finish() {
  step="saying what comes next"
  local scheme=http host=localhost
  if [ "$network" = yes ]; then scheme=https host=$(hostname); fi
  echo
  echo "Affect Edge runs. Open $scheme://$host:8080 and set it up with the code that this prints:"
  echo "  sudo journalctl -u affect-edge-dashboard -g 'setup code'"
  if [ "$network" = yes ]; then echo "The browser warns once: the certificate was made by this machine itself."; fi
  echo "Something wrong? sudo -u affect-edge $program/venv/bin/affect-edge doctor --config $settings/affect-edge.toml --data $data"
}

if [ "$uninstall" = yes ]; then remove; exit 0; fi
check
plan
[ "$dry" = no ] || exit 0
need_root "$@"
confirm "Go on?"
install_packages
install_program
configure
start
finish
