"""Taking devices in and putting them out: what codes, register and broker do together."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable
from threading import Lock

from cryptography import x509

from edge_agent.appliance.broker.files import names_in, read, with_password
from edge_agent.appliance.enrolment import broker
from edge_agent.appliance.enrolment.authority import Authority, read_authority
from edge_agent.appliance.enrolment.code import JoinCode, draw_code, pin_of
from edge_agent.appliance.enrolment.messages import ConfirmRequest, JoinAnswer, JoinRequest
from edge_agent.appliance.enrolment.place import FleetPlace
from edge_agent.appliance.enrolment.register import (
    AuditEntry,
    Device,
    DeviceState,
    Register,
    RegisterChange,
)
from edge_agent.core import clock
from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import BrokerAccountError, EnrolmentError

log = logging.getLogger(__name__)

WRONG_TRIES = 5
"""So many wrong secrets end a code: a guesser then has a chance of 5 in 2 ** 50."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")
_HOUR_MS = 3_600_000
_PASSWORD_BYTES = 24
_WRONG = "The code is wrong, or was replaced by a newer one. Type it as it was shown."
_CLOSED = (
    f"This code was given with a wrong secret {WRONG_TRIES} times, and is good no more. Have "
    "another one made."
)


class FleetEnrolment:
    """The devices of a fleet, where its broker runs.

    Everything is decided in the register first, in one transaction; then the broker's files are
    made to say the same. Whatever is interrupted between the two is finished by ``finish_changes``.

    Args:
        place: the fleet.
        announce: told of devices that are revoked or have joined; returns whether the broker
            took it.

    Example::

        fleet = FleetEnrolment(FleetPlace())
        print(fleet.make_code("room-1", hours=24))
    """

    def __init__(
        self, place: FleetPlace, announce: Callable[[FleetPlace, Device], bool] | None = None
    ) -> None:
        place.require()
        self._place = place
        self._register = Register(place.register)
        self._authority = _authority_of(place)
        self._announce = announce
        self._alone = Lock()
        self.in_force = True
        """Whether the broker runs, and so has read the last change."""
        self.untold: tuple[str, ...] = ()
        """Devices of which the fleet does not know yet that they are revoked, or have joined."""

    @property
    def service_port(self) -> int:
        """Where devices join."""
        return int(self._setting("service_port"))

    @property
    def local_port(self) -> int:
        """Of the broker, for programs on this machine."""
        return int(self._setting("local_port"))

    @property
    def host(self) -> str:
        """The name of this machine in its certificate."""
        return self._setting("host")

    def make_code(self, name: str, hours: float) -> JoinCode:
        """Draw a code for a device; one that it was given before is good no more.

        Args:
            name: what the device is called from then on.
            hours: for how long the code is good.

        Raises:
            EnrolmentError: the name cannot be one, or is taken.
        """
        self.finish_changes()
        if not _NAME.fullmatch(name):
            raise EnrolmentError(
                f"{name!r}: cannot be the name of a device. Up to 40 of the letters A-Z and a-z, "
                "digits, _ and - are allowed."
            )
        certificate = x509.load_pem_x509_certificate(self._place.certificate.read_bytes())
        code = draw_code(pin_of(certificate))
        with self._register.changing() as change:
            known = change.device(name)
            if known is not None and known.state is DeviceState.JOINED:
                raise EnrolmentError(
                    f"{name}: has joined already, {iso_utc(known.since_ms)}. To let another device "
                    f"take its place: sudo affect-edge fleet-enrol revoke {name}, then a code.",
                    "joined",
                )
            if name in broker.RESERVED or (
                known is None and name in names_in(read(self._place.passwords))
            ):
                raise EnrolmentError(
                    f"{name}: is an account at the broker that was made otherwise. Remove it "
                    f"first: sudo mosquitto_passwd -D {self._place.passwords} {name}"
                )
            ends_ms = clock.now().wall_ms + round(hours * _HOUR_MS)
            change.revoke_certificates(name)
            change.set_code(name, code.id, code.secret, ends_ms)
            change.note("code made", name)
        self.finish_changes()
        return code

    def join(self, request: JoinRequest, address: str) -> JoinAnswer:
        """Make the account of the device that a code is for; the code stays good until confirmed.

        Raises:
            EnrolmentError: the code is not good, or the request is no request.
            BrokerAccountError: the broker's files cannot be written; the code stays good.
        """
        with self._alone:
            device = self._checked(request.id, request.secret, address)
            if device.state is DeviceState.JOINED:
                self._refuse(device.name, "used", address)
                raise EnrolmentError(
                    f"This code was used, {iso_utc(device.since_ms)}. If it was not you, have "
                    f"{device.name} revoked; for this device have another code made.",
                    "used",
                )
            password, token = secrets.token_hex(_PASSWORD_BYTES), secrets.token_hex(8)
            text = None
            with self._register.changing() as change:
                if change.setting("certificates") == "yes":
                    text, serial = self._authority.sign_device(device.name, request.request)
                    change.add_certificate(device.name, serial)
                hashed = with_password("", device.name, password).strip().partition(":")[2]
                change.put(
                    device.name, state=DeviceState.JOINING, password_hash=hashed, token=token
                )
                change.note("account made", device.name, address)
                host, port = change.setting("host"), int(change.setting("port"))
            self._finish_changes(told=True)
        return JoinAnswer(
            device=device.name,
            account=device.name,
            password=password,
            host=host,
            port=port,
            authority=self._authority.text,
            certificate=text,
            token=token,
            at_ms=clock.now().wall_ms,
        )

    def confirm(self, request: ConfirmRequest, address: str) -> None:
        """Note that a device has proven its account; its code is used up. Twice is as once.

        Raises:
            EnrolmentError: the code is not good, or another attempt has taken its place.
        """
        with self._alone:
            device = self._checked(request.id, request.secret, address)
            if device.token != request.token:
                self._refuse(device.name, "overtaken", address)
                raise EnrolmentError(
                    "Another device fetched an account with this code meanwhile. If it was not "
                    f"you, have {device.name} revoked.",
                    "overtaken",
                )
            if device.state is DeviceState.JOINED:
                return
            with self._register.changing() as change:
                change.put(device.name, state=DeviceState.JOINED, announced=0)
                change.note("joined", device.name, address)

    def revoke(self, name: str) -> None:
        """Put a device out: its account is removed, it is cut off, its certificate is revoked.

        Raises:
            EnrolmentError: there is no such device.
            BrokerAccountError: a file of the broker cannot be written; try again.
        """
        with self._alone:
            with self._register.changing() as change:
                if change.device(name) is None:
                    known = ", ".join(one.name for one in change.devices()[:20]) or "none"
                    raise EnrolmentError(f"{name}: there is no such device. There are: {known}.")
                change.revoke_certificates(name)
                change.put(
                    name,
                    state=DeviceState.REVOKED,
                    password_hash=None,
                    token=None,
                    announced=0,
                    code_id=None,
                    code_salt=None,
                    code_hash=None,
                )
                change.note("revoked", name)
            self._finish_changes(told=True)

    def devices(self) -> list[Device]:
        """Return all devices, in the order of their names, after ``finish_changes``."""
        self.finish_changes()
        with self._register.changing() as change:
            return change.devices()

    def audit(self, most: int) -> list[AuditEntry]:
        """Return what happened, the newest last."""
        with self._register.changing() as change:
            return change.audit(most)

    def finish_changes(self) -> None:
        """End what has expired, and make the broker's files say what the register says."""
        with self._alone:
            self._finish_changes(told=True)

    def tick(self) -> None:
        """End what has expired; the broker is told only if something changed."""
        with self._alone:
            self._finish_changes(told=False)

    def note(self, event: str, address: str) -> None:
        """Write down that something came over the network."""
        with self._register.changing() as change:
            change.note(event, "", address)

    def _finish_changes(self, *, told: bool) -> None:
        # Within the transaction: nobody else writes these files from an older register meanwhile.
        with self._register.changing() as change:
            expired = _expire(change)
            change.tell_once_of_revoked()
            devices = change.devices()
            broker.write_accounts(self._place, {one.name: one.password_hash for one in devices})
            if change.setting("certificates") == "yes":
                serials = change.revoked_serials()
                broker.write_revocations(self._place, self._authority, serials)
        untold = [one for one in devices if not one.announced]
        if told or expired or untold:
            self.in_force = broker.reload(self._place, self.local_port)
        self._tell(untold)

    def _tell(self, devices: list[Device]) -> None:
        """Tell the fleet; what the broker does not take is tried again by whoever comes next."""
        if self._announce is None:
            return
        untold = []
        for device in devices:
            if not self.in_force or not self._announce(self._place, device):
                untold.append(device.name)
                continue
            with self._register.changing() as change:
                change.put_told(device)
        self.untold = tuple(untold)

    def _checked(self, code_id: str, secret: str, address: str) -> Device:
        """Return the device of a code whose secret is right, and that has not ended."""
        with self._register.changing() as change:
            device = change.with_code(code_id)
        if device is None:
            self._refuse("", "unknown code", address)
            raise EnrolmentError(_WRONG, "wrong")
        if device.code_wrong >= WRONG_TRIES:
            self._refuse(device.name, "closed code", address)
            raise EnrolmentError(_CLOSED, "closed")
        if not device.has_secret(secret):
            with self._register.changing() as change:
                change.put(device.name, code_wrong=device.code_wrong + 1)
            self._refuse(device.name, "wrong secret", address)
            raise EnrolmentError(_WRONG, "wrong")
        ended = (device.code_ends_ms or 0) <= clock.now().wall_ms
        if ended and device.state is not DeviceState.JOINED:
            self._refuse(device.name, "expired", address)
            raise EnrolmentError(
                f"This code expired, {iso_utc(device.code_ends_ms or 0)}. Have another one made: "
                f"sudo affect-edge fleet-enrol code {device.name}",
                "expired",
            )
        return device

    def _refuse(self, device: str, why: str, address: str) -> None:
        log.warning("%s: refused a device (%s) %s", address, why, device)
        with self._register.changing() as change:
            change.note(f"refused: {why}", device, address)

    def _setting(self, name: str) -> str:
        with self._register.changing() as change:
            return change.setting(name)


def _expire(change: RegisterChange) -> bool:
    """Take the account from devices whose code ended before they had joined."""
    states = (DeviceState.INVITED, DeviceState.JOINING, clock.now().wall_ms)
    ended = change.devices("state IN (?, ?) AND code_ends_ms <= ?", states)
    for device in ended:
        change.revoke_certificates(device.name)
        change.put(device.name, state=DeviceState.EXPIRED, password_hash=None, token=None)
        change.note("expired", device.name)
    return bool(ended)


def _authority_of(place: FleetPlace) -> Authority:
    try:
        key = place.authority_key.read_text(encoding="ascii")
        return read_authority(place.authority.read_text(encoding="ascii"), key)
    except (OSError, UnicodeDecodeError) as error:
        raise BrokerAccountError(f"{place.authority_key}: cannot be read ({error}).") from error
