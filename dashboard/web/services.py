"""What the routes share, and the FastAPI dependencies that hand it to them."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, Request

from dashboard.accounts.accounts import Accounts
from dashboard.accounts.audit_trail import AuditTrail
from dashboard.accounts.logins import Logins
from dashboard.accounts.members import Members
from dashboard.accounts.second_factors import SecondFactors
from dashboard.computing.computing import Computing
from dashboard.exports.jobs import ExportJobs
from dashboard.picture.reader import PictureReader
from dashboard.protocols.runner import ProtocolRunner
from dashboard.web.alerts.dashboard_alerts import DashboardAlerts
from dashboard.web.first_steps.progress import Progress
from dashboard.web.guards.connections import ConnectionGuard
from dashboard.web.guards.login_gate import LoginGate
from dashboard.web.guards.short_lived import Enrolment, HalfLogin, ShortLived
from dashboard.web.guards.tokens import TokenGate
from dashboard.web.guards.view_log import ViewLog
from dashboard.web.ingest_state import IngestState
from dashboard.web.live_fan_out import LiveFanOut
from dashboard.web.once import Once
from dashboard.web.preview.relay import Previews
from dashboard.web.settings import DashboardOptions
from edge_agent.core.control.sender_clock import SenderClocks
from edge_agent.store.gate.commands import Commands
from edge_agent.store.read.reader import Reader
from edge_agent.store.study.study import Study

if TYPE_CHECKING:
    from dashboard.fleet.connections import FleetDatabase
    from dashboard.fleet.kept_copies import KeptCopies


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that lives as long as the dashboard.

    Attributes:
        options: the configuration.
        accounts: who may log in.
        members: all accounts, for those who manage them.
        logins: where an account is logged in.
        second_factors: codes of phones and on paper.
        half_logins: who has yet to give such a code.
        enrolments: second factors that are being turned on.
        audit: who did what.
        views: who looked at whom.
        connections: who is connected, and for how long they may be.
        gate: what logins, setup codes and links pass.
        tokens: what programs with a token pass.
        reader: reads the timeline.
        study: reads participants, sessions and markers.
        commands: changes the timeline's database.
        ingest: where readings are handed in.
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
        sender_clocks: how the clocks of programs that set markers stand.
        fleet: what collectors write to; ``None`` without ``dashboard.source``.
        copies: lends the studies of its devices; ``None`` without ``dashboard.source``.
        started_s: when the dashboard was started, in seconds since the machine was.
        stopping: set when the dashboard should end, so that open event streams close.
    """

    options: DashboardOptions
    accounts: Accounts
    members: Members
    logins: Logins
    second_factors: SecondFactors
    half_logins: ShortLived[HalfLogin]
    enrolments: ShortLived[Enrolment]
    audit: AuditTrail
    views: ViewLog
    connections: ConnectionGuard
    gate: LoginGate
    tokens: TokenGate
    reader: Reader
    study: Study
    commands: Commands
    ingest: IngestState
    protocol_runner: ProtocolRunner
    exports: ExportJobs
    pictures: PictureReader
    computing: Computing
    live: LiveFanOut
    previews: Previews
    first_steps: Progress
    alerts: DashboardAlerts
    once: Once
    fleet: FleetDatabase | None
    copies: KeptCopies | None
    started_s: float
    stopping: asyncio.Event
    event_streams: Counter[str] = field(default_factory=Counter)
    sender_clocks: SenderClocks = field(default_factory=SenderClocks)


def services(request: Request) -> Services:
    """Return what the application was made with."""
    return cast("Services", request.app.state.services)


def _options(request: Request) -> DashboardOptions:
    return services(request).options


def _accounts(request: Request) -> Accounts:
    return services(request).accounts


def _reader(request: Request) -> Reader:
    return services(request).reader


def _study(request: Request) -> Study:
    return services(request).study


def _commands(request: Request) -> Commands:
    return services(request).commands


def _computing(request: Request) -> Computing:
    return services(request).computing


def _protocol_runner(request: Request) -> ProtocolRunner:
    return services(request).protocol_runner


ServicesDep = Annotated[Services, Depends(services)]
OptionsDep = Annotated[DashboardOptions, Depends(_options)]
AccountsDep = Annotated[Accounts, Depends(_accounts)]
CommandsDep = Annotated[Commands, Depends(_commands)]
ComputingDep = Annotated[Computing, Depends(_computing)]
ReaderDep = Annotated[Reader, Depends(_reader)]
StudyDep = Annotated[Study, Depends(_study)]
ProtocolRunnerDep = Annotated[ProtocolRunner, Depends(_protocol_runner)]
