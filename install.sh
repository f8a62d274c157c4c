#!/usr/bin/env bash
# Installs Affect Edge as systemd services on a Raspberry Pi or another Debian-like machine.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # sh install.sh
set -euo pipefail
export PYTHONNOUSERSITE=1 # no Python that is started here loads code from the home of whoever it runs as

usage() {
  cat <<'TEXT'
Usage: sudo ./install.sh [--yes] [--dry-run] [--local] [--port N] [--camera WHAT] [--no-broker]
                         [--with PARTS] [--offline WHEELS] [--unpinned]
       sudo ./install.sh --uninstall [--purge] [--yes] [--dry-run]

Installs the agent and the dashboard from this folder as systemd services. Running it again installs what changed and
keeps configuration and data.

  --yes              ask nothing
  --dry-run          check and print the plan, change nothing
  --local            the dashboard answers on this machine only (default: on the whole network, by HTTPS)
  --port N           port of the dashboard (default: 8080)
  --camera WHAT      auto (default), picamera2, a device such as /dev/video0, an rtsp:// address, a folder of pictures
  --no-broker        install no MQTT broker
  --with PARTS       add optional parts, separated by commas: lsl (live streams for Lab Streaming Layer), parquet, xlsx, sav,
                     edf (exports as Parquet files, for Excel, for SPSS, as EDF+), alerts (alerts by e-mail, ntfy, webhook),
                     serial (markers from a serial port), fit (importing FIT files of sports watches), xdf (importing recordings of
                     LabRecorder), fleet (reporting to a collector, and the collector); they stay until --with names others, or none
  --offline WHEELS   take Python packages from this folder instead of the network
  --unpinned         where this release pins no packages for this machine and Python: take the newest that fit, unchecked
  --uninstall        remove services and program; configuration and data stay
  --purge            with --uninstall: remove configuration, data, the users and the packages that came with it, too

Parts of an installation, which `affect-edge update` and `rollback` use:
  --build            only build the release below /opt/affect-edge/releases, and print its folder
  --activate         run inside such a folder: make it the one that runs

Program in /opt/affect-edge, configuration in /etc/affect-edge, data in /var/lib/affect-edge.
TEXT
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program=/opt/affect-edge settings=/etc/affect-edge data=/var/lib/affect-edge command=/usr/local/bin/affect-edge share=/usr/local/share
config=$settings/affect-edge.toml
runtime=/run/affect-edge # of the gate's socket
lock=/run/affect-edge-install.lock
web_user=affect-edge-dashboard # the agent's is affect-edge, as is the group of both
gate=affect-edge-database.service # its socket starts it, and it ends when nobody asks
no_home=/nonexistent # both users': what Python and shells load from a home is code, and in the data folder either could plant it
services=(affect-edge-agent.service affect-edge-database.socket affect-edge-dashboard.service)
units=("${services[@]}" "$gate" affect-edge-maintenance.service affect-edge-maintenance.timer)
# What man and the shells read: below share of a release, and as links below $share.
shared=(man/man1/affect-edge.1 bash-completion/completions/affect-edge zsh/site-functions/_affect-edge fish/vendor_completions.d/affect-edge.fish)
broker_files=(/etc/mosquitto/conf.d/affect-edge.conf /etc/mosquitto/affect-edge.acl /etc/mosquitto/affect-edge.passwd)
needed_mb=1500 needed_var_mb=300 memory_mb=700 written_in=2026
apt_waits=(-o DPkg::Lock::Timeout=120) # for whoever installs at the same time, seconds

yes=no dry=no network=yes broker=yes purge=no action=install port="" camera="" wheels="" unpinned=no
known_parts=(lsl parquet alerts xlsx sav edf serial fit fleet xdf) with="" parts=""
[ ! -d "$here/wheels" ] || wheels=$here/wheels
step=checking
undo=() # what takes back the steps done so far, newest last

fail() { echo "install.sh: $*" >&2; exit 1; }
wrong() { echo "install.sh: $*; see --help" >&2; exit 2; }
say() { echo "• $*"; }

# ---------------------------------------------------------------- what was asked

parse() {
  while [ $# -gt 0 ]; do
    case "$1" in
      --yes) yes=yes ;;
      --dry-run) dry=yes ;;
      --local) network=no ;;
      --no-broker) broker=no ;;
      --unpinned) unpinned=yes ;;
      --port | --camera | --with | --offline)
        [ $# -ge 2 ] || wrong "$1 needs a value"
        [ "$1$2" != --with ] || wrong "--with needs a value"
        case "$1" in --port) port=$2 ;; --camera) camera=$2 ;; --with) with=$2 ;; *) wheels=$2 ;; esac
        shift
        ;;
      --uninstall) action=uninstall ;;
      --purge) purge=yes ;;
      --build) action=build ;;
      --activate) action=activate ;;
      -h | --help) usage; exit 0 ;;
      *) wrong "unknown option $1" ;;
    esac
    shift
  done
  [ -z "$port" ] || [[ $port =~ ^[0-9]{1,5}$ && $port -ge 1024 && $port -le 65535 ]] || wrong "--port $port: give a number from 1024 to 65535"
  [ "$purge" = no ] || [ "$action" = uninstall ] || wrong "--purge goes with --uninstall"
  [ -z "$with" ] || [ "$action" != uninstall ] || wrong "--with does not go with --uninstall, which removes all parts"
  choose_parts
  if [ -n "$wheels" ]; then
    compgen -G "$wheels/*.whl" >/dev/null || wrong "--offline $wheels: there are no wheels (*.whl) in this folder"
    wheels=$(cd "$wheels" && pwd)
  fi
  case "$camera" in
    "" | auto | picamera2 | /dev/* | rtsp://* | http://* | https://*) ;;
    *) [ -d "$camera" ] || wrong "--camera $camera: give auto, picamera2, a device, an rtsp:// address or a folder" ;;
  esac
}

# Optional parts that an earlier installation took stay, also through an update, unless --with names others.
choose_parts() {
  local name wanted=$with
  if [ -z "$with" ]; then wanted=$(cat "$settings/parts" 2>/dev/null || true); fi
  [ "$wanted" != none ] || return 0
  for name in ${wanted//,/ }; do
    if [[ " ${known_parts[*]} " == *" $name "* ]]; then
      [[ ",$parts," == *",$name,"* ]] || parts=${parts:+$parts,}$name
    elif [ -n "$with" ]; then
      wrong "--with $name: there is no such part; give ${known_parts[*]}, separated by commas, or none"
    fi
  done
  [ -z "$with" ] || [ -n "$parts" ] || wrong "--with $with: give ${known_parts[*]}, separated by commas, or none"
}

# One installation at a time. Who may open the file can lock it for ever; so it is root's alone, and not in /run/lock,
# where everybody may make files.
lock() {
  local mask
  mask=$(umask)
  umask 077
  exec 9>"$lock"
  umask "$mask"
  flock -n 9 || fail "another installation runs; wait for its end"
}

need_root() { [ "$(id -u)" = 0 ] || fail "must run as root; type: sudo$(printf ' %q' "$0" "$@")"; }

confirm() {
  [ "$yes" = no ] || return 0
  [ -t 0 ] || fail "nobody is there to answer; give --yes"
  local answer
  read -r -p "Go on? [y/N] " answer
  [ "$answer" = y ] || [ "$answer" = Y ] || { echo "Nothing was changed."; exit 0; }
}

# ---------------------------------------------------------------- looking, before anything is changed

version_here() {
  if [ -e "$here/VERSION" ]; then cat "$here/VERSION"; else sed -n 's/^__version__ = "\(.*\)"/\1/p' "$here/edge_agent/__init__.py"; fi
}

# Everything that ends up in the release, by content: the same content is not built twice.
fingerprint_here() {
  (
    cd "$here"
    find install.sh pyproject.toml VERSION README.md affect_edge edge_agent collector dashboard config systemd requirements wheels -type f \
      ! -name '*.pyc' -print0 2>/dev/null | LC_ALL=C sort -z | xargs -0 sha256sum
    python3 -V 2>&1
    ls -d /usr/lib/python3/dist-packages/picamera2 2>/dev/null || true
    echo "$parts"
  ) | sha256sum | cut -c1-8
}

is_installed() { dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }

# Installed or not wholly so.
is_there() { dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qvx not-installed; }

check() {
  [ "$(getconf LONG_BIT)" = 64 ] || fail "a 64-bit system is needed (LiteRT has no 32-bit wheels); install the 64-bit Raspberry Pi OS"
  command -v apt-get >/dev/null || fail "needs a Debian-like system with apt-get, such as Raspberry Pi OS 12 or 13"
  [ -d /run/systemd/system ] || [ "$dry" = yes ] || fail "needs a system that was started by systemd"
  if command -v python3 >/dev/null; then
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
      fail "Python 3.11 or newer is needed, this system has $(python3 -V | cut -d' ' -f2); install Raspberry Pi OS 12 or newer"
  fi
  local free memory folder=/opt
  [ -d "$folder" ] || folder=/
  free=$(df --output=avail -m "$folder" | tail -n 1)
  [ "$free" -ge "$needed_mb" ] || fail "needs $needed_mb MB free in $folder, there are $((free)) MB"
  memory=$(($(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo) / 1024))
  [ "$memory" -ge "$memory_mb" ] || fail "needs $memory_mb MB of memory, there are $memory MB"
  free=$(df --output=avail -m /var | tail -n 1)
  [ "$free" -ge "$needed_var_mb" ] || fail "needs $needed_var_mb MB free in /var for data and packages, there are $((free)) MB"
  [ "$(date +%Y)" -ge "$written_in" ] ||
    fail "the clock says $(date +%F), which lies before this release; set it (sudo date -s 'YYYY-MM-DD hh:mm'), for certificates depend on it"
  # Who took unverified packages once updates in the same way; --build gives nobody a chance to say so.
  if [ "$action" = build ] && [ -e "$program/current/UNPINNED" ]; then unpinned=yes; fi
  if [ "$unpinned" = no ] && command -v python3 >/dev/null && [ ! -e "$(pins_here)" ]; then
    fail "this release pins no packages for $(uname -m) and $(python3 -V), so what is installed could not be checked; use a system with $(pinned_systems), or give --unpinned"
  fi
  if port_taken; then fail "port ${port:-8080} is taken by another program; choose another, such as --port $((${port:-8080} + 1))"; fi
  packages=(python3 python3-venv ca-certificates openssl openssh-client bluez)
  if apt-cache show python3-picamera2 >/dev/null 2>&1; then packages+=(python3-picamera2); fi
  # A broker that somebody else set up is not ours to change.
  if [ "$broker" = yes ] && is_installed mosquitto && [ ! -e "${broker_files[0]}" ] &&
    ! grep -qsx mosquitto "$settings/packages"; then broker=foreign; fi
  if [ "$broker" = yes ] && [ ! -e "${broker_files[0]}" ] && ! is_installed mosquitto && answers 1883; then
    fail "port 1883 is taken by another MQTT broker; give --no-broker, and name that one in [mqtt] of the configuration"
  fi
  if [ "$broker" = yes ]; then packages+=(mosquitto); fi
  missing=()
  for package in "${packages[@]}"; do is_installed "$package" || missing+=("$package"); done
}

port_taken() {
  [ ! -e "$config" ] || [ -n "$port" ] || return 1
  if systemctl is-active --quiet affect-edge-dashboard.service 2>/dev/null; then return 1; fi
  answers "${port:-8080}"
}

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# The file of packages for this machine, whether there is one or not.
pins_here() { echo "$here/requirements/linux-$(uname -m)-py$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])').txt"; }

pinned_systems() {
  local file names=()
  for file in "$here"/requirements/linux-*-py?.??.txt; do
    file=$(basename "$file" .txt) file=${file#linux-}
    names+=("Python ${file#*-py} on ${file%-py*}")
  done
  printf '%s' "${names[0]}"
  printf ', %s' "${names[@]:1}"
}

camera_found() {
  if compgen -G "/dev/video*" >/dev/null || compgen -G "/dev/media*" >/dev/null; then echo "found"; else echo "none found yet; the agent waits for one"; fi
}

plan() {
  echo "This will"
  if [ ${#missing[@]} -gt 0 ]; then say "install the packages ${missing[*]}"; else say "install no packages: all are there"; fi
  say "install Affect Edge $(version_here) below $program, run by the users affect-edge and $web_user, with the command affect-edge"
  if [ -n "$parts" ]; then
    say "add the optional parts ${parts//,/, }"
  elif [ -s "$settings/parts" ]; then
    say "leave out the optional parts that are there now: $(<"$settings/parts")"
  fi
  if [ -e "$config" ]; then say "keep the configuration $config"; else say "write the configuration $config"; fi
  say "keep data in $data"
  case "$broker" in
    yes) say "let mosquitto answer programs on this machine that have the password, for topics below affect-edge/" ;;
    foreign) say "leave the MQTT broker of this machine as it is (docs/install.md: how the two meet)" ;;
    no) say "install no MQTT broker" ;;
  esac
  if [ "$network" = yes ]; then
    say "let the dashboard answer on the whole network by HTTPS, port ${port:-8080}, with a certificate of its own"
  else
    say "let the dashboard answer on this machine only, port ${port:-8080}"
  fi
  say "start the services now and at every boot, with daily maintenance at night"
  case "$camera" in
    "" | auto | picamera2 | /dev/*) echo "Camera: ${camera:-auto}, $(camera_found)." ;;
    *) echo "Camera: $camera." ;;
  esac
}

# ---------------------------------------------------------------- the steps

# What the steps left is taken back, newest first; what was there before stays.
finish_badly() {
  local code=$1 i
  trap - EXIT
  [ "$code" != 0 ] || exit 0
  if [ "$step" != checking ]; then
    echo "install.sh: stopped while $step." >&2
    for ((i = ${#undo[@]} - 1; i >= 0; i--)); do eval "${undo[i]}" >/dev/null 2>&1 || echo "install.sh: this could not be taken back: ${undo[i]}" >&2; done
    [ -e "$program/previous/.complete" ] || rm -f "$program/previous"
    if [ -e "$program/current/venv" ]; then
      echo "install.sh: the previous release runs: $(readlink "$program/current")" >&2
    elif [ ${#undo[@]} -gt 0 ]; then
      echo "install.sh: what it had done was taken back; system packages stay. Mend what is said above and run it again." >&2
    fi
  fi
  exit "$code"
}

# Finishes what was begun with packages. The dpkg of an installer that was killed goes on without it for a while; one
# says then "locked by another process", another "locked by /usr/bin/dpkg process".
finish_packages() {
  local said i
  for ((i = 0; i < 120; i++)); do
    if said=$(LC_ALL=C dpkg --configure -a 2>&1); then return 0; fi
    [[ $said == *"locked by "* ]] || break
    sleep 1
  done
  echo "install.sh: dpkg could not finish what was begun, going on: $(tail -n 3 <<<"$said")" >&2
  return 1
}

install_packages() {
  step="installing packages"
  [ ${#missing[@]} -gt 0 ] || return 0
  say "$step: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  local options=("${apt_waits[@]}" -y -qq --no-install-recommends) coming
  apt-get update -qq || echo "install.sh: the package lists could not be renewed; going on with those of before" >&2
  # An earlier run may have been cut short, in the middle of a package.
  finish_packages || apt-get install "${options[@]}" --fix-broken >/dev/null || true
  # Written down before they come, so that after a power cut it is known which ones to take away.
  coming=$(apt-get install --simulate "${options[@]}" "${missing[@]}" 2>/dev/null | sed -n 's/^Inst \([^ ]*\).*/\1/p' || true)
  [ -d "$settings" ] || install -d -m 750 "$settings"
  for package in $coming; do is_installed "$package" || echo "$package" >>"$settings/packages"; done
  apt-get install "${options[@]}" "${missing[@]}" >/dev/null || fail "these packages could not be installed: ${missing[*]}"
}

make_users() {
  step="making the users"
  local group
  make_user affect-edge user
  make_user "$web_user" web-user --no-user-group --gid affect-edge
  # Cameras, and who may talk to Bluetooth sensors; the last group comes with bluez.
  for group in video render bluetooth; do
    if getent group "$group" >/dev/null; then usermod --append --groups "$group" affect-edge; fi
  done
  if [[ ",$parts," == *,serial,* ]]; then usermod --append --groups dialout affect-edge; fi
}

# make_user NAME RECORD [OPTION…]
make_user() {
  local name=$1 record=$settings/$2
  shift 2
  if id "$name" >/dev/null 2>&1; then return 0; fi
  # Written down before it is made, so that a purge after a power cut knows whose user it is.
  [ -d "$settings" ] || { install -d -m 750 "$settings"; undo+=("rmdir '$settings'"); }
  echo "$name" >"$record"
  undo+=("rm -f '$record'")
  useradd --system --home-dir "$no_home" --shell /usr/sbin/nologin "$@" "$name"
  undo+=("userdel '$name'")
}

# Users of earlier releases have the data folder as their home. usermod refuses while something runs as them.
leave_home() {
  local name
  for name in affect-edge "$web_user"; do
    [ "$(getent passwd "$name" | cut -d: -f6)" = "$data" ] || continue
    usermod --home "$no_home" "$name" || echo "install.sh: the home of $name stays $data; type: sudo usermod --home $no_home $name" >&2
  done
}

# The folder of the socket is root's. In earlier releases it was the agent's, and what that user left in it goes.
take_runtime() {
  if [ -d "$runtime" ] && [ ! -L "$runtime" ] && [ "$(stat -c %u "$runtime")" = 0 ]; then return 0; fi
  [ ! -d "$runtime" ] || chown -h root:root "$runtime"
  rm -rf "$runtime"
}

# A file that has one name only: another name may be that of a file elsewhere, and a link leads there.
is_plain() { [ -f "$1" ] && [ ! -L "$1" ] && [ "$(stat -c %h "$1")" = 1 ]; }

# give FOLDER USER: the folder and what lies in it. A second name of a file of root's goes: the file would be given away.
give() {
  find "$1" ! -type d -links +1 -uid 0 -delete
  chown -R --no-dereference "$2:affect-edge" "$1"
}

# take_no_gift FOLDER: that of the dashboard's accounts, unless it is the dashboard's user's or root's, goes out of the
# way. The agent's user may rename it and make another; its accounts would then be those of the dashboard. It goes into
# a folder of root's: as root's own it would be taken the next time.
take_no_gift() {
  local owner aside
  [ -e "$1" ] || return 0
  owner=$(stat -c %u "$1")
  if [ -d "$1" ] && { [ "$owner" = 0 ] || [ "$owner" = "$(id -u "$web_user")" ]; }; then return 0; fi
  aside=$(mktemp -d "$1.set-aside.XXXXXX")
  mv -T "$1" "$aside/$(basename "$1")"
  echo "install.sh: $1 is of user $(stat -c %U "$aside/$(basename "$1")"), and only $web_user may make accounts: it lies in $aside now, and the dashboard begins without accounts. If you trust it, see docs/install.md, Two users" >&2
}

# without_acls FOLDER: what access control lists gave outlives another owner and mode.
without_acls() {
  python3 -I - "$1" <<'ACLS'
import errno, os, stat, sys
def strip(fd):
    for name in ("system.posix_acl_access", "system.posix_acl_default"):
        try:
            os.removexattr(fd, name)
        except OSError as error:  # it has none, or the file system knows none
            if error.errno not in (errno.ENODATA, errno.ENOTSUP, errno.EACCES, errno.EINVAL):
                raise
for _, _, files, folder in os.fwalk(sys.argv[1]):
    strip(folder)
    for name in files:
        try:
            if not stat.S_ISREG(os.lstat(name, dir_fd=folder).st_mode):
                continue
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        except OSError:  # it has gone, or became a link
            continue
        strip(fd)
        os.close(fd)
ACLS
}

# The data folder is the agent's, and the dashboard reads it. What the dashboard writes lies in a folder
# of its own; the database it writes through the gate.
share_files() {
  local own=$data/dashboard file
  [ -d "$data" ] || return 0
  # While root works in these folders they are root's: nobody can put a link there between check and change.
  chown root "$data"
  chmod 700 "$data"
  for file in "$data"/affect-edge.db* "$data"/affect-edge*.lock "$data"/capture.json; do
    if is_plain "$file"; then chown -h affect-edge:affect-edge "$file" && chmod 640 "$file"; fi
  done
  # Who may read a file can lock it: of these two the dashboard would hold up recording and copies.
  for file in "$data"/affect-edge.lock "$data"/affect-edge.copies.lock; do
    if is_plain "$file"; then chmod 600 "$file"; fi
  done
  for file in "$own" "$data/tls"; do
    if [ -L "$file" ]; then rm -f "$file"; fi
  done
  if [ -d "$data/tls" ]; then
    chown -h root "$data/tls"
    chmod 700 "$data/tls"
    for file in "$data"/tls/*.pem; do if is_plain "$file"; then chmod 640 "$file"; fi; done
    give "$data/tls" affect-edge
    chmod 770 "$data/tls"
  fi
  take_no_gift "$own"
  if [ -d "$own" ]; then chown -h root "$own"; else install -d "$own"; fi
  chmod 700 "$own"
  without_acls "$own"
  for file in "$own/exports" "$own/dashboard.db"; do # root follows no link of theirs
    if [ -L "$file" ]; then rm -f "$file"; fi
  done
  if [ -e "$own/exports" ] && [ ! -d "$own/exports" ]; then rm -f "$own/exports"; fi
  [ -d "$own/exports" ] || install -d "$own/exports"
  chmod 770 "$own/exports" # who erases deletes what lies there
  give "$own" "$web_user"
  chmod 750 "$own"
  chown affect-edge:affect-edge "$data"
  chmod 750 "$data"
  if [ -e "$settings/mqtt-password" ]; then
    chown affect-edge:affect-edge "$settings/mqtt-password"
    chmod 400 "$settings/mqtt-password"
  fi
}

# Prints the folder of the release; builds it unless it is there with the same content.
build() {
  step="building the release"
  local version print folder
  version=$(version_here) print=$(fingerprint_here)
  folder=$program/releases/$version
  if [ -e "$folder/.complete" ] && [ "$(cat "$folder/.complete")" != "$print" ]; then folder="$folder+$print"; fi
  release=$folder
  if [ "$(cat "$folder/.complete" 2>/dev/null)" = "$print" ]; then say "Affect Edge $version is built already"; return 0; fi
  say "$step $(basename "$folder") (some minutes)"
  rm -rf "$folder"
  install -d -m 755 "$program" "$program/releases" "$folder"
  undo+=("rm -rf '$folder'")
  fill_venv "$folder"
  cp -r "$here/systemd" "$here/config" "$folder/"
  install -m 755 "$here/install.sh" "$folder/install.sh"
  install -m 644 "$here/README.md" "$here/LICENSE" "$here/CHANGELOG.md" "$folder/"
  echo "$version" >"$folder/VERSION"
  chmod -R u=rwX,go=rX "$folder/systemd" "$folder/config"
  "$folder/venv/bin/affect-edge" --version >/dev/null
  echo "$print" >"$folder/.complete"
}

fill_venv() {
  local venv=$1/venv options=(-q --disable-pip-version-check --no-warn-script-location --no-compile) see=()
  # libcamera and picamera2 exist only as system packages.
  if [ -d /usr/lib/python3/dist-packages/picamera2 ]; then see=(--system-site-packages); fi
  python3 -m venv "${see[@]}" "$venv"
  leave_foreign_wheels
  [ -z "$wheels" ] || options+=(--no-index --find-links "$wheels")
  [ -n "${PIP_CACHE_DIR:-}" ] || options+=(--no-cache-dir)
  local pins part resolved=""
  pins=$(pins_here)
  if [ -e "$pins" ]; then
    "$venv/bin/pip" install "${options[@]}" --require-hashes --no-deps --only-binary=:all: -r "$pins"
    for part in ${parts//,/ }; do
      "$venv/bin/pip" install "${options[@]}" --require-hashes --no-deps --only-binary=:all: -r "${pins%.txt}-$part.txt"
    done
    options+=(--no-deps --no-index --no-build-isolation)
  else
    [ "$unpinned" = yes ] || fail "this release pins no packages for $(uname -m) and $(python3 -V); give --unpinned to take the newest"
    say "no pinned packages for $(uname -m) and $(python3 -V): taking the newest that fit"
    resolved="[ble${parts:+,$parts}]"
    touch "$1/UNPINNED"
    if [[ ",$parts," == *,lsl,* && $(uname -m) = aarch64 ]]; then "$venv/bin/pip" install "${options[@]}" --no-deps mne-lsl || true; fi
  fi
  local own
  own=$(compgen -G "$here/wheels/affect_edge-*.whl" | head -n 1 || true)
  if [ -n "$own" ]; then
    "$venv/bin/pip" install "${options[@]}" "$own$resolved"
  else # built from a copy, so that nothing is left in the checkout
    local copy
    copy=$(mktemp -d)
    cp -r "$here/affect_edge" "$here/edge_agent" "$here/collector" "$here/dashboard" "$here/pyproject.toml" "$here/README.md" "$here/LICENSE" "$copy/"
    "$venv/bin/pip" install "${options[@]}" "$copy$resolved"
    rm -rf "$copy"
  fi
  pass_over_homes "$venv/bin/affect-edge"
  require_lsl "$venv"
  slim "$venv"
}

# With the system's packages, Python would also take those in the home of whoever types the command.
pass_over_homes() {
  sed -i '1s|^\(#!/[^ ]*/python[0-9.]*\)$|\1 -s|' "$1"
  [[ $(head -n 1 "$1") == *" -s" ]] || fail "$1: its first line names no Python: $(head -n 1 "$1")"
}

# An optional part that cannot work is not installed. pylsl brings its native library for x86-64, mne-lsl for 64-bit Arm.
require_lsl() {
  [[ ",$parts," == *,lsl,* ]] || return 0
  "$1/bin/python" -I -c 'from edge_agent.lsl.outlet import load_pylsl; load_pylsl()' 2>/dev/null ||
    fail "--with lsl: liblsl, the native library of the Lab Streaming Layer, is missing for $(uname -m) and $(python3 -V); install it (docs/export.md, Lab Streaming Layer), or leave lsl out of --with"
}

# An archive brings the packages of the Pi. On other machines pip takes them from the network; where some are pinned,
# their hashes are checked.
leave_foreign_wheels() {
  local python
  python=$(python3 -c 'import sys; print("cp%d%d" % sys.version_info[:2])')
  [ "$wheels" = "$here/wheels" ] && ! compgen -G "$wheels/*-$python-*_$(uname -m).whl" >/dev/null || return 0
  say "this release brings no packages for $(uname -m) and $(python3 -V): taking them from the network"
  wheels=""
}

# A third of the size is tests of libraries, notebooks, installers, drivers of graphics cards, and compiled
# files of modules that nobody imports.
slim() {
  local packages
  packages=$("$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  "$1/bin/pip" uninstall -q -y setuptools pip 2>/dev/null
  find "$1/share" -type f ! -name '*affect-edge*' -delete 2>/dev/null || true
  rm -rf "$packages/ai_edge_litert/tools" "$packages/ai_edge_litert/vendors" "$packages/ai_edge_litert/libLiteRtWebGpuAccelerator.so"
  find "$packages" -type d \( -name tests -o -name __pycache__ \) -prune -exec rm -rf {} +
  # What is imported now is compiled now: the services may not write here. What belongs to an optional part that is
  # not installed is passed over.
  "$1/bin/python" -I -W ignore - <<'PYTHON'
import importlib, pkgutil
import ai_edge_litert.interpreter, bleak, cv2, scipy.stats
ours = ("affect_edge", "edge_agent", "dashboard")
for name in ours:
    for module in pkgutil.walk_packages(importlib.import_module(name).__path__, name + "."):
        if module.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as missing:
            if missing.name is None or missing.name.partition(".")[0] in ours:
                raise
PYTHON
}

# set_key SECTION KEY VALUE: changes one line of the configuration, or brings its commented default to life.
set_key() {
  local changed
  changed=$(mktemp "$settings/.config.XXXXXX")
  awk -v section="[$1]" -v key="$2" -v value="$3" '
    /^\[/ { inside = ($0 == section) }
    inside && !done && $0 ~ "^(# )?" key " = " {
      comment = match($0, / +#[^"]*$/) && RSTART > 3 ? substr($0, RSTART) : ""
      $0 = key " = " value comment; done = 1
    }
    { print }
    END { exit !done }' "$config" >"$changed" || { rm -f "$changed"; fail "$config: there is no $2 in [$1] to set"; }
  install -m 640 -g affect-edge "$changed" "$config"
  rm -f "$changed"
}

configure() {
  step="writing the configuration"
  [ -d "$data" ] || undo+=("rm -rf '$data'")
  [ -d "$data" ] || install -d -m 750 -o affect-edge -g affect-edge "$data"
  if [ -e "$config" ]; then
    cp -p "$config" "$config.before"
    undo+=("mv '$config.before' '$config'")
  else
    [ -d "$settings" ] || undo+=("rmdir '$settings'")
    install -d -m 750 -g affect-edge "$settings"
    undo+=("rm -f '$config'")
    install -m 640 -g affect-edge "$release/config/affect-edge.toml" "$config"
    set_key data folder "\"$data\""
    if [ "$network" = yes ]; then
      set_key dashboard host '"0.0.0.0"'
      set_key dashboard certificate "\"$data/tls/cert.pem\""
      set_key dashboard key "\"$data/tls/key.pem\""
    fi
  fi
  remember_parts
  [ -z "$port" ] || set_key dashboard port "$port"
  [ -z "$camera" ] || set_camera
  if [ "$broker" = yes ]; then set_up_broker; fi
  as_user certificate >/dev/null
  as_user config check "$config" >/dev/null
}

# The next installation and every update read this file.
remember_parts() {
  local file=$settings/parts
  [ "$parts" != "$(cat "$file" 2>/dev/null || true)" ] || return 0
  if [ -e "$file" ]; then
    cp -p "$file" "$file.before"
    undo+=("mv '$file.before' '$file'")
  else
    undo+=("rm -f '$file'")
  fi
  if [ -n "$parts" ]; then install -m 644 /dev/stdin "$file" <<<"$parts"; else rm -f "$file"; fi
}

set_camera() {
  case "$camera" in
    auto | picamera2) set_key camera source "\"$camera\"" ;;
    /dev/* | *://*) set_key camera source '"opencv"'; set_key camera device "\"$camera\"" ;;
    *) set_key camera source '"pictures"'; set_key camera folder "\"$camera\""; set_key camera loop true; set_key vision confirm_frames 1 ;;
  esac
}

# The command of the release as USER, in a session of its own and without a terminal: whoever runs as that user could
# otherwise type into root's, or read what root types. What is open here, such as the lock, stays here.
run_as() {
  local user=$1
  shift
  {
    setsid -w runuser -u "$user" -- env HOME="$no_home" PYTHONDONTWRITEBYTECODE=1 "$release/venv/bin/affect-edge" \
      "$@" --config "$config" --data "$data" </dev/null 2>&1 >&3 3>&- 9>&- | cat >&2
  } 3>&1
}

as_user() { run_as affect-edge "$@"; }

# mosquitto answers on this machine only, to the one account, for the one prefix.
set_up_broker() {
  step="setting up the broker"
  local password others=""
  if [ -e "${broker_files[2]}" ] && [ -e "$settings/mqtt-password" ]; then
    if grep -qs '^# Written by the installer of Affect Edge' "${broker_files[0]}" && ! grep -q '^autosave_interval' "${broker_files[0]}"; then
      printf '%s\n' "# What an erasure clears leaves the broker's own file at the next time it is saved." 'autosave_interval 300' >>"${broker_files[0]}"
      systemctl try-restart mosquitto.service || fail "mosquitto did not start; see: journalctl -u mosquitto -n 30"
    fi
    return 0
  fi
  if [ -e "${broker_files[1]}" ] && [ -e "${broker_files[2]}" ]; then # accounts of before an --uninstall stay
    others=$(grep -v '^affect-edge:' "${broker_files[2]}" || true)
    undo+=("rm -f '${broker_files[0]}' '$settings/mqtt-password'; systemctl try-restart mosquitto.service")
  else
    undo+=("rm -f ${broker_files[*]} '$settings/mqtt-password'; systemctl try-restart mosquitto.service")
  fi
  password=$(openssl rand -hex 16)
  install -m 400 -o affect-edge -g affect-edge /dev/stdin "$settings/mqtt-password" <<<"$password"
  [ -e "${broker_files[1]}" ] ||
    install -m 600 -o mosquitto -g mosquitto /dev/stdin "${broker_files[1]}" <<<$'user affect-edge\ntopic readwrite affect-edge/#'
  # By a file, not as a word of the command, which every user of the machine could read.
  install -m 600 /dev/stdin "${broker_files[2]}" <<<"affect-edge:$password"
  mosquitto_passwd -U "${broker_files[2]}" 2>/dev/null
  [ -z "$others" ] || cat >>"${broker_files[2]}" <<<"$others"
  chown mosquitto:mosquitto "${broker_files[2]}"
  cat >"${broker_files[0]}" <<TEXT
# Written by the installer of Affect Edge: this machine only, one prefix. More accounts: affect-edge mqtt-user.
listener 1883 127.0.0.1
allow_anonymous false
password_file ${broker_files[2]}
acl_file ${broker_files[1]}
# What an erasure clears leaves the broker's own file at the next time it is saved.
autosave_interval 300
TEXT
  if ! grep -q '^username = ' "$config"; then # an account that somebody chose stays
    set_key mqtt username '"affect-edge"'
    set_key mqtt password_file "\"$settings/mqtt-password\""
  fi
  systemctl enable --quiet mosquitto.service
  systemctl restart mosquitto.service || fail "mosquitto did not start; see: journalctl -u mosquitto -n 30"
}

# Makes $release the one that runs. The link changes at once, and the one of before is remembered.
activate() {
  step="starting the services"
  local before
  before=$(readlink "$program/current" || true)
  if [ "$before" = "$release" ] && [ "$(units_differ)" = no ] && all_run; then
    [ "${changed_config:-no}" = no ] || systemctl restart "${services[@]}"
    say "the services run"
    return 0
  fi
  say "$step"
  if [ -n "$before" ] && [ -x "$before/install.sh" ] && [ "$before" != "$release" ]; then
    undo+=("systemctl stop ${services[*]} $gate; share_files; '$before/install.sh' --activate --yes")
    ln -sfn "$before" "$program/previous"
  elif [ -z "$before" ]; then
    undo+=("systemctl disable --now ${units[*]}; rm -f '$command' '$program/current' ${units[*]/#//etc/systemd/system/}; unlink_shared; systemctl daemon-reload")
  fi
  ln -sfn "$release" "$program/current.new"
  mv -T "$program/current.new" "$program/current"
  ln -sfn "$program/current/venv/bin/affect-edge" "$command"
  link_shared
  for unit in "${units[@]}"; do install -m 644 "$release/systemd/$unit" "/etc/systemd/system/$unit"; done
  systemctl daemon-reload
  step="starting the services"
  systemctl stop "${services[@]}" "$gate" 2>/dev/null || true
  leave_home
  take_runtime
  share_files
  install -d -m 755 "$program/root" # empty: what the units see of the machine is mounted below it
  systemctl enable --quiet "${services[@]}" affect-edge-maintenance.timer
  systemctl restart affect-edge-maintenance.timer
  # While the agent upgrades the database at its start, the dashboard says how far that is.
  ! upgrade_is_due || systemctl start --no-block affect-edge-dashboard 2>/dev/null || true
  # The agent before the dashboard: recording does not hang on what the dashboard's user left in its folder.
  # It upgrades a database before the gate would, since it can salvage a damaged one.
  for unit in affect-edge-database.socket affect-edge-agent "$gate" affect-edge-dashboard; do
    systemctl restart "$unit" 2>/dev/null || fail "$unit did not start. Its log (journalctl -u $unit) ends with
$(journalctl -u "$unit" -n 8 -o cat --no-pager | sed 's/^/  /')"
  done
}

# Tells whether the release upgrades the database: the number of its schema stands in the file, and in the program.
upgrade_is_due() {
  local stored known
  # Who may write in the folder could put a pipe there, which would hold up whoever reads it.
  stored=$(timeout 5 od -An -tu4 --endian=big -j60 -N4 "$data/affect-edge.db" 2>/dev/null | tr -d ' ') || return 1
  known=$("$release/venv/bin/python" -P -c 'from edge_agent.timeline.database.schema import VERSION; print(VERSION)' 2>/dev/null) || return 1
  [ -n "$stored" ] && [ "$stored" -lt "$known" ]
}

# The manual page and the completions of shells. Folders that were not there are written down, and go with the links.
link_shared() {
  local name folder
  for name in "${shared[@]}"; do
    [ -e "$release/venv/share/$name" ] || continue
    folder=$(dirname "$name")
    while [ "$folder" != . ] && [ ! -d "$share/$folder" ]; do
      echo "$folder" >>"$program/made-folders"
      folder=$(dirname "$folder")
    done
    mkdir -p "$share/$(dirname "$name")"
    ln -sfn "$program/current/venv/share/$name" "$share/$name"
  done
}

unlink_shared() {
  local folder
  rm -f "${shared[@]/#/$share/}"
  [ -e "$program/made-folders" ] || return 0
  # the inner ones first; one in which somebody else put something stays
  sort -ur "$program/made-folders" | while read -r folder; do
    rmdir "$share/$folder" 2>/dev/null || true
  done
}

all_run() {
  for unit in "${services[@]}"; do systemctl is-active --quiet "$unit" || return 1; done
}

units_differ() {
  for unit in "${units[@]}"; do cmp -s "$release/systemd/$unit" "/etc/systemd/system/$unit" || { echo yes; return; }; done
  echo no
}

# Releases that neither run nor ran before.
tidy() {
  step="tidying up"
  local folder
  rm -f "$config.before" "$settings/parts.before" /run/lock/affect-edge-install # the lock of earlier releases
  for folder in "$program"/releases/*; do
    [ "$folder" = "$(readlink "$program/current")" ] || [ "$folder" = "$(readlink "$program/previous" || true)" ] || rm -rf "$folder"
  done
}

say_next() {
  step="saying what comes next"
  local scheme=http host=localhost at code=
  at=$(sed -n '/^\[dashboard\]/,$ s/^port = \([0-9]*\).*/\1/p' "$config")
  if grep -q '^certificate = ' "$config"; then scheme=https host=$(hostname).local; fi
  # A code is for the first account alone; the journal also holds those of before, and the last one counts. No -b: in a
  # container, who has a /proc of its own sees another boot than the journal's.
  if [ -z "$(run_as "$web_user" account list 2>/dev/null)" ]; then
    code=$(journalctl -o cat -u affect-edge-dashboard.service 2>/dev/null | sed -n 's/^Setup code: \([A-Z0-9-]*\).*/\1/p' | tail -n 1)
  fi
  echo
  echo "Affect Edge $(cat "$release/VERSION") runs."
  echo "  1. Open $scheme://$host:$at in a browser$([ "$host" = localhost ] || echo " of this network; or $scheme://$(own_address):$at")."
  if [ "$scheme" = https ]; then
    echo "     It warns once, for the certificate was made by this machine itself. Its SHA-256 fingerprint:"
    echo "     $(timeout 20 openssl x509 -in "$data/tls/cert.pem" -noout -fingerprint -sha256 | cut -d= -f2)"
  fi
  if [ -n "$code" ]; then echo "  2. Make the first account with the setup code $code (asked for once; after a restart there is another: journalctl -u affect-edge-dashboard)."; else echo "  2. Log in with your account."; fi
  echo "  3. Something does not work? sudo -u affect-edge affect-edge doctor"
}

own_address() { hostname -I 2>/dev/null | cut -d' ' -f1; }

# ---------------------------------------------------------------- away with it

uninstall() {
  echo "This removes the services and $program.$([ "$purge" = no ] || echo " Configuration ($settings), data ($data) and packages that came with it go, too.")"
  [ "$dry" = no ] || exit 0
  if [ "$purge" = yes ]; then need_root --uninstall --purge; else need_root --uninstall; fi
  confirm
  step=uninstalling
  systemctl disable --now "${units[@]}" 2>/dev/null || true
  unlink_shared
  rm -f "${units[@]/#//etc/systemd/system/}" "$command" /var/lib/systemd/timers/stamp-affect-edge-maintenance.timer
  rm -rf "$runtime"
  systemctl daemon-reload
  systemctl reset-failed "${units[@]}" 2>/dev/null || true
  if [ -e "${broker_files[0]}" ]; then
    rm -f "${broker_files[0]}"
    systemctl try-restart mosquitto.service 2>/dev/null || true
  fi
  if [ "$purge" = yes ]; then
    rm -f "${broker_files[@]}" # accounts and their rules
    purge_packages
  fi
  rm -rf "$program"
  if [ "$purge" = yes ]; then
    local ours=()
    [ ! -e "$settings/web-user" ] || ours+=("$web_user")
    [ ! -e "$settings/user" ] || ours+=(affect-edge)
    rm -rf "$settings" "$data"
    for name in "$web_user" affect-edge; do # the group goes with the last
      id "$name" >/dev/null 2>&1 || continue
      if [[ " ${ours[*]} " == *" $name "* ]]; then userdel "$name"; else say "the user $name was there before, and stays"; fi
    done
  else
    rm -f "$settings/mqtt-password"
    say "configuration stays in $settings, data in $data, both of the users affect-edge and $web_user; accounts at the broker stay, too"
  fi
  systemctl daemon-reload # once more: an older systemd may still know the names of units that are gone
  say "removed"
}

# Packages that came with the installation go, unless something that came later needs one of them.
purge_packages() {
  local ours=() broken=() left=() away
  [ -s "$settings/packages" ] || return 0
  export DEBIAN_FRONTEND=noninteractive
  finish_packages || true # an installation may have been cut short
  while read -r package; do if is_there "$package"; then ours+=("$package"); fi; done < <(sort -u "$settings/packages")
  [ ${#ours[@]} -gt 0 ] || return 0
  # One that was cut short while it was unpacked goes by force only, and nothing that works can need it.
  mapfile -t broken < <(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "${ours[@]}" 2>/dev/null | sed -n 's/^..R *//p')
  [ ${#broken[@]} = 0 ] || dpkg --purge --force-remove-reinstreq --force-depends "${broken[@]}" >/dev/null 2>&1 || true
  for package in "${ours[@]}"; do if is_there "$package"; then left+=("$package"); fi; done
  ours=("${left[@]}") left=()
  [ ${#ours[@]} -gt 0 ] || return 0
  away=$(apt-get purge --simulate "${ours[@]}" 2>/dev/null | sed -n 's/^\(Purg\|Remv\) \([^ ]*\) .*/\2/p' | sort -u)
  if [ -n "$(comm -23 <(echo "$away") <(printf '%s\n' "${ours[@]}" | sort))" ]; then
    say "packages stay, for others need them now: ${ours[*]}"
    return 0
  fi
  say "removing the packages that came with it: ${ours[*]}"
  apt-get purge "${apt_waits[@]}" -y -qq "${ours[@]}" >/dev/null
  for package in "${ours[@]}"; do if is_there "$package"; then left+=("$package"); fi; done # half of one leaves its settings
  [ ${#left[@]} = 0 ] || dpkg --purge "${left[@]}" >/dev/null
}

# ---------------------------------------------------------------- what is run

main() {
  parse "$@"
  if [ "$action" = uninstall ]; then uninstall; return; fi
  if [ "$action" = activate ]; then
    [ -e "$here/.complete" ] || fail "$here: is no complete release; give --activate to the install.sh inside one"
    need_root --activate
    release=$here
    activate
    return
  fi
  check
  if [ "$action" = install ]; then plan; fi
  [ "$dry" = no ] || return 0
  need_root "$@"
  lock
  if [ "$action" = install ]; then confirm; fi
  trap 'finish_badly $?' EXIT
  trap 'exit 130' INT TERM HUP
  install_packages
  make_users
  build
  if [ "$action" = build ]; then echo "$release"; return; fi
  local config_before
  config_before=$(sha256sum "$config" 2>/dev/null || true)
  configure
  if [ "$(sha256sum "$config")" != "$config_before" ]; then changed_config=yes; fi
  activate
  tidy
  say_next
}

main "$@"
