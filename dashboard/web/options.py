"""Options of the dashboard: the values that it takes from the configuration, and the checks that
refuse to serve without protection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dashboard.fleet.known import FleetAddress
from dashboard.languages.current import AUTO
from dashboard.protocols.file import EXAMPLES
from dashboard.protocols.library import Library
from edge_agent.alerts.sending import NO_ALERTS, AlertOptions, alert_options
from edge_agent.config.dashboard import TrustedProxy, check_open, check_proxy
from edge_agent.config.data import RecordSettings
from edge_agent.config.loading import load_settings
from edge_agent.config.section import at_home
from edge_agent.config.settings import Settings
from edge_agent.config.vision import VisionSettings
from edge_agent.core.addresses import Address
from edge_agent.core.errors import ConfigError
from edge_agent.core.owners import become_owner_of
from edge_agent.core.study import Purpose
from edge_agent.live.feed import SOCKET_NAME
from edge_agent.live.preview import SOCKET_NAME as PREVIEW_SOCKET
from edge_agent.timeline.database.dashboard_file import PROTOCOLS, own_folder
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.export.appliance import public_settings

PORT = 8080
"""The port where the configuration names none."""


@dataclass(frozen=True, slots=True)
class DashboardOptions:
    """The dashboard's own part of the configuration.

    Attributes:
        data: folder of the database and of the agent's live socket.
        device: name of this appliance, shown on every page.
        host: address to listen on.
        port: port to listen on.
        certificate: TLS certificate (PEM), or ``None`` for plain HTTP on this machine only.
        key: private key of the certificate.
        names: further host names by which it may be asked for.
        language: of pages for browsers that ask for none of ours; ``auto``: English.
        session_hours: hours until a login ends.
        idle_minutes: minutes until a login ends that nobody uses.
        second_factor_for: roles that have to have a second factor.
        purposes: purposes offered when a session is started.
        only_in_sessions: whether readings that programs send are taken only while a session is
            open.
        outbox_rows: messages about sessions that wait for the broker at the most.
        protocols: folder of protocol files that the configuration names.
        told: the settings that an export tells of.
        models: names or paths of the configured models, whose cards an export holds.
        prefer_sources: sources of vitals, the best first, of which one counts in a session.
        keep_days: days that expressions are kept.
        vision: how single pictures are read, and imported faces are labelled.
        alerts: what is watched and who is told.
        preview: whether an administrator may see the camera's picture.
        proxy: whose word about who asks is taken; ``None``: everybody logs in here.
        proxy_addresses: from where proxies come whose X-Forwarded-For is read.
        source: where many devices are shown from; ``None``: this is the dashboard of one appliance.
        config: the configuration file; ``None``: there is none, and the defaults hold.
    """

    data: Path
    device: str = "affect-edge"
    host: str = "127.0.0.1"
    port: int = PORT
    certificate: Path | None = None
    key: Path | None = None
    names: tuple[str, ...] = ()
    language: str = AUTO
    session_hours: int = 12
    idle_minutes: int = 120
    second_factor_for: tuple[str, ...] = ()
    purposes: tuple[Purpose, ...] = tuple(Purpose)
    only_in_sessions: bool = False
    outbox_rows: int = 50_000
    protocols: Path = EXAMPLES
    told: Mapping[str, Any] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    prefer_sources: tuple[str, ...] = ()
    keep_days: int = RecordSettings().keep_days
    vision: VisionSettings = VisionSettings()
    alerts: AlertOptions = NO_ALERTS
    preview: bool = False
    proxy: TrustedProxy | None = None
    proxy_addresses: tuple[str, ...] = ()
    source: FleetAddress | None = None
    config: Path | None = None

    @property
    def database(self) -> Path:
        """The database file."""
        return self.data / DATABASE_NAME

    @property
    def library(self) -> Library:
        """All protocols: its own folder, the configured one, and the shipped examples."""
        return Library(own_folder(self.data) / PROTOCOLS, self.protocols)

    @property
    def live_socket(self) -> Path:
        """The agent's live feed."""
        return self.data / SOCKET_NAME

    @property
    def preview_socket(self) -> Path:
        """The agent's pictures, where it shows any."""
        return self.data / PREVIEW_SOCKET

    @property
    def is_secure(self) -> bool:
        """True if pages are served over TLS."""
        return self.certificate is not None

    @property
    def address(self) -> str:
        """The URL of the dashboard on this machine."""
        scheme = "https" if self.is_secure else "http"
        # These mean "every address of this machine", and are none to open.
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::"} else self.host  # noqa: S104 - compared, not bound
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"


def options_of_reader(config_file: Path | None, data: Path | None) -> DashboardOptions:
    """Return the options of a command that reads the timeline.

    A process of root changes to the user who owns the data folder, and does not change back.

    Raises:
        ConfigError: the configuration is wrong.
    """
    options = options_from(load_settings(config_file), data)
    become_owner_of(options.data)
    return options


def options_from(settings: Settings, data: Path | None = None) -> DashboardOptions:
    """Take the dashboard's values out of the whole configuration.

    ``data`` (from ``--data``) wins over the file.
    """
    section = settings.dashboard
    return DashboardOptions(
        data=at_home(data or settings.data.folder),
        device=settings.device.name,
        host=section.host,
        port=section.port,
        certificate=section.certificate,
        key=section.key,
        names=section.names,
        language=section.language,
        session_hours=section.session_hours,
        idle_minutes=section.idle_minutes,
        second_factor_for=section.second_factor_for,
        purposes=section.purposes,
        only_in_sessions=settings.capture.mode == "sessions",
        outbox_rows=settings.mqtt.outbox_rows,
        protocols=at_home(section.protocols) if section.protocols else EXAMPLES,
        told=public_settings(settings),
        models=(settings.vision.expression_model, settings.vision.detector_model),
        prefer_sources=settings.vitals.prefer_sources,
        keep_days=settings.record.keep_days,
        vision=settings.vision,
        alerts=alert_options(settings),
        preview=settings.capture.preview == "allowed",
        proxy=section.proxy,
        proxy_addresses=section.proxy_addresses,
        source=_source(section.source, section.source_password_file),
        config=settings.file,
    )


def _source(address: Address | None, password_file: Path | None) -> FleetAddress | None:
    if address is None:
        return None
    return FleetAddress(address, at_home(password_file) if password_file else None)


def check_exposure(options: DashboardOptions) -> None:
    """Refuse to send passwords and health data over a network in the clear.

    Raises:
        ConfigError: the address is reachable from other machines and no certificate is given, or a
            file of it is missing; or the secret of a trusted proxy is missing or short.
    """
    if options.proxy is not None:
        check_proxy(options.proxy)
    for name, file in (("certificate", options.certificate), ("key", options.key)):
        if file is not None and not file.is_file():
            raise ConfigError(
                f"dashboard.{name} = '{file}': no such file. Give the path of a PEM file."
            )
    check_open(options)
