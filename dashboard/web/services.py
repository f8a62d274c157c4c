"""Services that the routes share, the FastAPI dependencies that provide them, and short-lived state
such as a login waiting for its code.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar, cast

from fastapi import Depends, Request

from dashboard.accounts.accounts import Accounts
from dashboard.accounts.audit import AuditTrail
from dashboard.accounts.carers import Carers
from dashboard.accounts.letters import Letters
from dashboard.accounts.logins import Logins
from dashboard.accounts.members import Members
from dashboard.accounts.notes import Notes
from dashboard.accounts.roles import Account
from dashboard.accounts.second_factors import SecondFactors
from dashboard.computing.processes import Computing
from dashboard.device_files.reader import DeviceFile, DeviceFileReader
from dashboard.export_jobs import ExportJobs
from dashboard.picture.reader import PictureReader
from dashboard.protocols.runner import ProtocolRunner
from dashboard.web.agent_feed import LiveFanOut, Previews
from dashboard.web.alert_watching import DashboardAlerts
from dashboard.web.erased import ErasedPeople
from dashboard.web.first_steps import FirstStepsProgress
from dashboard.web.guards.connections import ConnectionGuard
from dashboard.web.guards.fair_share import KnownSecrets
from dashboard.web.guards.login_throttle import LoginThrottle
from dashboard.web.guards.permissions import TokenGate, ViewLog
from dashboard.web.letter_sending import LetterSender
from dashboard.web.options import DashboardOptions
from edge_agent.core.clock import SenderClocks
from edge_agent.core.given_readings import ArrivalTimes
from edge_agent.timeline.database.dashboard_file import sweep_prepared
from edge_agent.timeline.gate.commands import Commands
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.study.sessions import Study
from edge_agent.vitals.csv_files import CsvFile

if TYPE_CHECKING:
    from dashboard.fleet.postgres import FleetDatabase
    from dashboard.fleet.study_files import KeptCopies


HALF_LOGIN_S = 300
ENROLMENT_S = 900
FILE_S = 1800
ASKED_S = 1800
"""Time for a participant to read and agree, and then wait for their protocol."""
_END_S = 2.0
FILES_KEPT = 2

Value = TypeVar("Value")
MOST_KEPT = 256


@dataclass(frozen=True, slots=True)
class HalfLogin:
    """A login that still needs the code of the second factor.

    Attributes:
        account: whose password it was.
        stamp: changes with the password.
        target: where the browser wanted to go.
    """

    account: Account
    stamp: str
    target: str


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A second factor that is shown to its owner, and not yet on.

    Attributes:
        account: number of the account.
        secret: what the app reads.
    """

    account: int
    secret: str


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file of readings that is not imported yet.

    Attributes:
        account: number of the account that sent it.
        file: what is in it.
    """

    account: int
    file: CsvFile | DeviceFile


class ShortLived(Generic[Value]):
    """Stores values under random secrets, in memory only: a restart deletes them.

    Args:
        clock: returns seconds that never go back.
        seconds: how long a value is kept.
        most: values at one time. To another, the oldest of the account that has most gives way, so
            that nobody takes the place of others.

    Example:
        >>> key = half_logins.keep(HalfLogin(ada, stamp, "/live"), ada.id)
        >>> half_logins.of(key).account.name
        'ada'
    """

    def __init__(self, clock: Callable[[], float], seconds: float, most: int = 200) -> None:
        self._clock = clock
        self._seconds = seconds
        self._most = most
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, int, Value]] = {}

    def keep(self, value: Value, account: int) -> str:
        """Keep a value of an account and return its secret."""
        key = secrets.token_urlsafe(32)
        with self._lock:
            self._forget_old()
            self._kept[key] = (self._clock() + self._seconds, account, value)
            # A flood of new ones must not fill the memory.
            while len(self._kept) > self._most:
                self._forget_one()
        return key

    def of(self, key: str) -> Value | None:
        """Return the value of a secret; ``None`` if it is unknown or expired."""
        with self._lock:
            self._forget_old()
            kept = self._kept.get(key)
        return None if kept is None else kept[2]

    def end(self, key: str) -> None:
        """Forget a value."""
        with self._lock:
            self._kept.pop(key, None)

    def _forget_old(self) -> None:
        at = self._clock()
        for key in [key for key, (ends, *_) in self._kept.items() if ends <= at]:
            del self._kept[key]

    def _forget_one(self) -> None:
        counts = Counter(account for _, account, _ in self._kept.values())
        # ``max`` takes the first of equals, which is the oldest.
        key = max(self._kept, key=lambda key: counts[self._kept[key][1]])
        del self._kept[key]


@dataclass(slots=True)
class AskedConsent:
    """A participant who is asked for consent on a page of their own.

    Attributes:
        code: of the participant.
        actor: the account that asks.
        agreed: whether they have agreed there.
    """

    code: str
    actor: str
    agreed: bool = False


def new_key() -> str:
    """Return the key that a page gives one form."""
    return secrets.token_urlsafe(12)


class Once:
    """Runs each form once: remembers the result of each form key for some minutes.

    Example:
        >>> once = Once()
        >>> once.run("a key", lambda: "/made/1"), once.run("a key", lambda: "/made/2")
        ('/made/1', '/made/1')
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._results: OrderedDict[str, str] = OrderedDict()

    def run(self, key: str, act: Callable[[], str]) -> str:
        """Return the result of ``act``, or its stored result for this key.

        The second of two at one time waits for the first. An action that raises counts as not
        done. Without a key it is done each time.
        """
        if not key:
            return act()
        with self._lock:
            if key not in self._results:
                self._results[key] = act()
                while len(self._results) > MOST_KEPT:
                    self._results.popitem(last=False)
            return self._results[key]


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that lives as long as the dashboard.

    Attributes:
        options: the configuration.
        accounts: who may log in.
        members: all accounts, for those who manage them.
        carers: whose week a carer may see.
        letters: to whom letters about people go.
        letter_sender: sends them.
        erased: forgets in the dashboard's database whom others have erased.
        logins: where an account is logged in.
        second_factors: codes of phones and on paper.
        half_logins: who has yet to give such a code.
        enrolments: second factors that are being turned on.
        audit: who did what.
        views: who looked at whom.
        connections: who is connected, and for how long they may be.
        login_throttle: slows down attempts with passwords, setup codes and links.
        tokens: finds the token that a program sends.
        reader: reads the timeline.
        study: reads participants, sessions and markers.
        commands: changes the timeline's database.
        notes: lines of the audit trail about what is done elsewhere.
        arrivals: times of readings that name none.
        files: uploaded files that are not imported yet.
        asked_consents: participants who are asked for consent on a page of their own.
        device_files: reads those of devices in a process of its own.
        protocol_runner: runs the protocol of the open session.
        exports: prepares what can be downloaded.
        pictures: reads single pictures in a process of its own.
        computing: computes statistics in processes of its own.
        live: gives what the agent says to every open event stream.
        previews: shows the camera's picture to an administrator.
        first_steps: how far who set the appliance up is.
        alerts: those that stand, and the watch over the agent.
        once: does what is handed in twice once.
        event_streams: secret of a log-in, token or participant's page → how many event streams
            it holds.
        known_secrets: whose log-ins and tokens came with requests before.
        sender_clocks: how the clocks of programs that set markers stand.
        fleet: what collectors write to; ``None`` without ``dashboard.source``.
        copies: lends the studies of its devices; ``None`` without ``dashboard.source``.
        started_s: when the dashboard was started, in seconds since the machine was.
        stopping: set when the dashboard should end, so that open event streams close.
    """

    options: DashboardOptions
    accounts: Accounts
    members: Members
    carers: Carers
    letters: Letters
    letter_sender: LetterSender
    erased: ErasedPeople
    logins: Logins
    second_factors: SecondFactors
    half_logins: ShortLived[HalfLogin]
    enrolments: ShortLived[Enrolment]
    audit: AuditTrail
    views: ViewLog
    connections: ConnectionGuard
    login_throttle: LoginThrottle
    tokens: TokenGate
    reader: Reader
    study: Study
    commands: Commands
    notes: Notes
    files: ShortLived[UploadedFile]
    asked_consents: ShortLived[AskedConsent]
    device_files: DeviceFileReader
    protocol_runner: ProtocolRunner
    exports: ExportJobs
    pictures: PictureReader
    computing: Computing
    live: LiveFanOut
    previews: Previews
    first_steps: FirstStepsProgress
    alerts: DashboardAlerts
    once: Once
    fleet: FleetDatabase | None
    copies: KeptCopies | None
    started_s: float
    stopping: asyncio.Event
    event_streams: Counter[str] = field(default_factory=Counter)
    known_secrets: KnownSecrets = field(default_factory=KnownSecrets)
    sender_clocks: SenderClocks = field(default_factory=SenderClocks)
    arrivals: ArrivalTimes = field(default_factory=ArrivalTimes)

    def close(self) -> None:
        """Stop the threads and processes that run beside the requests."""
        if self.fleet is None:
            self.alerts.close()
            self.letter_sender.stop()
            self.letter_sender.join(_END_S)
            self.erased.stop()
            self.erased.join(_END_S)
        self.protocol_runner.close()
        self.computing.close()
        self.exports.close()
        self.pictures.close()
        self.device_files.close()
        if self.copies is not None:
            self.copies.close()
        if self.fleet is not None:
            self.fleet.close()


def sweep(options: DashboardOptions) -> None:
    """Delete what interruptions have left of exports, imports and protocols."""
    sweep_prepared(options.database.parent)
    options.library.sweep()


def services(request: Request) -> Services:
    """Return the services of the application."""
    return cast("Services", request.app.state.services)


async def _all(request: Request) -> Services:
    return services(request)


def _one(name: str) -> Any:
    """Return the dependency that provides one of the services."""

    # A plain function would take a thread of the pool for it.
    async def of_request(request: Request) -> Any:
        return getattr(services(request), name)

    return Depends(of_request)


ServicesDep = Annotated[Services, Depends(_all)]
OptionsDep = Annotated[DashboardOptions, _one("options")]
ComputingDep = Annotated[Computing, _one("computing")]
ReaderDep = Annotated[Reader, _one("reader")]
StudyDep = Annotated[Study, _one("study")]
ProtocolRunnerDep = Annotated[ProtocolRunner, _one("protocol_runner")]
