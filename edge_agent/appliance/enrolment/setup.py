"""Setting up a fleet beside its broker: authority, certificate, accounts, and mosquitto's file."""

from __future__ import annotations

import os
import pwd
import secrets
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from edge_agent.appliance.broker.files import with_password
from edge_agent.appliance.enrolment.authority import (
    Authority,
    key_text,
    new_authority,
    new_key,
    read_authority,
    read_key,
)
from edge_agent.appliance.enrolment.broker import (
    ANNOUNCER,
    COLLECTOR,
    FIRST_RULES,
    write_revocations,
)
from edge_agent.appliance.enrolment.place import FleetPlace
from edge_agent.appliance.enrolment.register import Register
from edge_agent.core.errors import EnrolmentError

_PASSWORD_BYTES = 24


@dataclass(frozen=True, slots=True)
class FleetOptions:
    """How devices reach a fleet.

    Attributes:
        host: name or address of this machine, as devices reach it.
        port: of the broker, with TLS.
        local_port: of the broker on this machine, for the collector.
        service_port: where devices join.
        certificates: whether the broker wants a certificate of each device, too.
        user: that the broker runs as.
    """

    host: str
    port: int = 8883
    local_port: int = 1883
    service_port: int = 8443
    certificates: bool = False
    user: str = "mosquitto"


def options_of(place: FleetPlace, host: str, given: Mapping[str, Any]) -> FleetOptions:
    """Return how a fleet is reached: as given, else as it was set up before, else as usual.

    Args:
        place: the fleet.
        host: name or address of this machine.
        given: fields of ``FleetOptions``; those that are ``None`` are not given.
    """
    known: dict[str, Any] = {}
    if place.register.exists():
        with Register(place.register).changing() as change:
            for name in given:
                with suppress(EnrolmentError):  # a setup that was cut short
                    known[name] = _READ[name](change.setting(name))
    return FleetOptions(
        host, **known | {name: value for name, value in given.items() if value is not None}
    )


_READ: Mapping[str, Callable[[str], Any]] = {
    "port": int,
    "local_port": int,
    "service_port": int,
    "certificates": lambda text: text == "yes",
    "user": str,
}


def set_up(place: FleetPlace, options: FleetOptions) -> None:
    """Set a fleet up, or change one; devices, accounts and the authority stay.

    Args:
        place: the fleet.
        options: how it is reached.

    Raises:
        EnrolmentError: the broker has accounts already, or a file cannot be written.
    """
    _check_broker(place)
    try:
        owner = _user(options.user)
        place.folder.mkdir(mode=0o700, exist_ok=True)
        _give(place.folder, owner)
        authority = _keep_authority(place, options.host)
        key = _keep_server_key(place, owner)
        public = key.public_key()
        _write(place.certificate, authority.sign_server(options.host, public), owner)
        register = Register(place.register)
        register.make()
        _give(place.register, owner)
        _keep_settings(place, register, options, owner)
        if options.certificates:
            with register.changing() as change:
                write_revocations(place, authority, change.revoked_serials())
            _give(place.revoked, owner)
        _write(place.settings, _settings_text(place, options), None, 0o644)
    except OSError as error:
        raise EnrolmentError(
            f"{error.filename or place.folder}: cannot be written ({error.strerror}). Run setup "
            "again as root."
        ) from error


def _check_broker(place: FleetPlace) -> None:
    if not place.broker.is_dir():
        raise EnrolmentError(
            f"{place.broker}: is missing. Install the broker first: sudo apt install mosquitto"
        )
    for file, settings in _settings_of_others(place):
        if {"password_file", "per_listener_settings"} & set(settings):
            raise EnrolmentError(
                f"{file}: gives this broker accounts already, and it knows one file of them. Set "
                "the fleet up on another machine, or move that file away; docs/fleet.md says how "
                "devices are added by hand."
            )
        pid_file = settings.get("pid_file", str(place.pid_file))
        if Path(pid_file) != place.pid_file:
            raise EnrolmentError(
                f"{file}: the broker writes its process number to {pid_file}. Name that file: "
                f"sudo affect-edge fleet-enrol --pid-file {shlex.quote(pid_file)} setup HOST"
            )


def _settings_of_others(place: FleetPlace) -> Iterator[tuple[Path, dict[str, str]]]:
    """Yield each file of the broker's configuration that is not the fleet's, and what it sets."""
    for file in (place.broker.parent / "mosquitto.conf", *sorted(place.broker.glob("*.conf"))):
        if file != place.settings and file.exists():
            lines = file.read_text(encoding="utf-8").splitlines()
            words = [line.split(maxsplit=1) for line in lines if line.strip()]
            yield file, {name: "".join(value).strip() for name, *value in words}


def _user(name: str) -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(name)
    except KeyError as error:
        raise EnrolmentError(
            f"{name}: there is no such user of this system. Give --user the one that the broker "
            "runs as."
        ) from error


def _keep_authority(place: FleetPlace, host: str) -> Authority:
    if place.authority.exists() and place.authority_key.exists():
        key = place.authority_key.read_text(encoding="ascii")
        return read_authority(place.authority.read_text(encoding="ascii"), key)
    if place.settings.exists():
        raise EnrolmentError(
            f"{place.authority_key}: is missing, and the devices trust no other authority. Bring "
            "it back from a backup."
        )
    authority = new_authority(host)
    # not the broker's: whoever breaks into it shall not make certificates
    _write(place.authority_key, key_text(authority.key), None)
    _write(place.authority, authority.text, None, 0o644)
    return authority


def _keep_server_key(
    place: FleetPlace, owner: pwd.struct_passwd | None
) -> ec.EllipticCurvePrivateKey:
    if not place.key.exists():
        _write(place.key, key_text(new_key()), owner)
    return read_key(place.key.read_text(encoding="ascii"))


def _keep_settings(
    place: FleetPlace, register: Register, options: FleetOptions, owner: pwd.struct_passwd | None
) -> None:
    announcer = secrets.token_hex(_PASSWORD_BYTES)
    with register.changing() as change:
        change.keep("host", options.host)
        change.keep("port", str(options.port))
        change.keep("local_port", str(options.local_port))
        change.keep("service_port", str(options.service_port))
        change.keep("certificates", "yes" if options.certificates else "no")
        change.keep("user", options.user)
        change.keep("announcer", announcer)
        change.note("set up")
    if not place.collector_password.exists():
        _write(place.collector_password, secrets.token_hex(_PASSWORD_BYTES) + "\n", None)
    password = place.collector_password.read_text(encoding="ascii").strip()
    accounts = ""
    if place.passwords.exists():
        accounts = place.passwords.read_text(encoding="utf-8")
    accounts = with_password(accounts, COLLECTOR, password)
    _write(place.passwords, with_password(accounts, ANNOUNCER, announcer), owner)
    if not place.rules.exists():
        _write(place.rules, FIRST_RULES, owner)


def _settings_text(place: FleetPlace, options: FleetOptions) -> str:
    lines = ["# Written by affect-edge fleet-enrol setup."]
    # Debian 12 has this line in mosquitto.conf, Debian 13 has not, and the broker refuses a second
    if not any("pid_file" in settings for _, settings in _settings_of_others(place)):
        lines.append(f"pid_file {place.pid_file}")
    lines += [
        "allow_anonymous false",
        f"password_file {place.passwords}",
        f"acl_file {place.rules}",
        f"listener {options.local_port} 127.0.0.1",
        f"listener {options.port}",
        f"cafile {place.authority}",
        f"certfile {place.certificate}",
        f"keyfile {place.key}",
        "tls_version tlsv1.2",
    ]
    if options.certificates:
        lines += ["require_certificate true", f"crlfile {place.revoked}"]
    return "".join(f"{line}\n" for line in lines)


def _write(file: Path, text: str, owner: pwd.struct_passwd | None, mode: int = 0o600) -> None:
    """Replace a file, whole or not at all."""
    new = file.with_name(f"{file.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as stream:
        stream.write(text)
        stream.flush()
        os.fchmod(stream.fileno(), mode)
        os.fsync(stream.fileno())
    _give(new, owner)
    new.replace(file)


def _give(file: Path, owner: pwd.struct_passwd | None) -> None:
    if owner is not None:
        os.chown(file, owner.pw_uid, owner.pw_gid)
