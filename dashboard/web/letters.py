"""The thread that sends the letters about people's weeks when they are due.

The dashboard's database says what was sent, so that a restart repeats nothing. A letter that was
not taken is sent again until the next one is due. Letters use the mail server of the alerts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import date
from threading import Event
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from dashboard.accounts.letters import LetterPlan, Letters
from dashboard.analysis.letter import Letter, write_letter
from dashboard.computing.computing import ComputationFailedError, Computing
from dashboard.languages.current import speaking
from dashboard.web.settings import DashboardOptions
from edge_agent.alerts.sending import AlertOptions, Post, Target, post
from edge_agent.core import clock
from edge_agent.core.addresses import MessageAddress
from edge_agent.core.bounds import DASHBOARD
from edge_agent.core.errors import AffectEdgeError, StudyError
from edge_agent.core.texts import N_, Message, text_of
from edge_agent.core.threads import Worker
from edge_agent.store.gate.commands import Commands

log = logging.getLogger(__name__)

LOOK_S = 60.0
_MAIL = frozenset({"mailto", "mailtos"})
_OWN = frozenset({"to", "cc", "bcc", "format"})
"""Parts of an address of alerts that letters do not take over."""
_NOT_WRITTEN = N_("The letter could not be written ({reason}). The log of the dashboard says why.")


def mail_server(options: AlertOptions) -> Target:
    """Return the first e-mail address of alerts, whose server sends letters, too.

    Raises:
        StudyError: there is none, or the file of addresses cannot be read.
    """
    try:
        targets = options.targets()
    except (OSError, ValueError) as error:
        raise StudyError(
            N_("alerts.notify_file cannot be read ({reason}), so no mail server is known."),
            reason=str(error),
        ) from error
    for one in targets:
        if one.kind in _MAIL:
            return one
    raise StudyError(
        N_(
            "No mail server is known. Name one as an address of alerts, such as "
            "mailtos://user:password@example.org, in alerts.notify or alerts.notify_file."
        )
    )


def addressed_to(server: Target, address: str) -> Target:
    """Return the address by which a server sends to one recipient, and to nobody else."""
    parts = urlsplit(server.address.reveal())
    words = parse_qsl(parts.query, keep_blank_values=True)
    kept = [(name, value) for name, value in words if name.lower() not in _OWN]
    query = urlencode([*kept, ("to", address), ("format", "text")], safe="@")
    whole = urlunsplit((parts.scheme, parts.netloc, "", query, ""))
    return Target(server.name, MessageAddress(whole))


class LetterSender(Worker):
    """Sends each letter once for its period.

    Args:
        options: database, device and mail server.
        letters: whom they go to.
        computing: writes and draws them.
        commands: notes in the audit trail what left the house.
        now_ms: the clock, UTC milliseconds.
    """

    def __init__(
        self,
        options: DashboardOptions,
        letters: Letters,
        computing: Computing,
        commands: Commands,
        now_ms: Callable[[], int] = lambda: clock.now().wall_ms,
    ) -> None:
        super().__init__("letter-sender")
        self._options = options
        self._letters = letters
        self._computing = computing
        self._commands = commands
        self._now_ms = now_ms

    def work(self) -> None:
        """Look each minute for letters that are due, until stopped."""
        while not self.stopping.wait(LOOK_S):
            try:
                self.send_due()
            except AffectEdgeError as error:
                log.warning("letters: nothing sent now: %s", error)

    def until(self, plan: LetterPlan) -> date:
        """Return the last day of the newest period of some letters."""
        return plan.every.until(clock.utc_at(self._now_ms()).astimezone())

    def send_due(self) -> None:
        """Send what is due, and write down what became of it.

        Raises:
            AffectEdgeError: a database cannot be read or written.
        """
        for plan in self._letters.all():
            until, now_ms = self.until(plan), self._now_ms()
            due = [one.address for one in plan.addresses if one.is_due(until, now_ms)]
            if not due or not plan.may_send or self.stopping.is_set():
                continue
            errors = self._send(plan, due, until)
            if self.stopping.is_set() and any(errors):
                return  # it was not tried
            for address, error in zip(due, errors, strict=True):
                self._letters.note(plan.person, address, until, now_ms, error)
            self._tell(plan, errors, until)

    def _send(self, plan: LetterPlan, addresses: Sequence[str], until: date) -> list[str]:
        try:
            return self.send(plan, addresses, until, self.stopping)
        except AffectEdgeError as error:
            return [text_of(error)] * len(addresses)
        except ComputationFailedError as error:
            return [Message(_NOT_WRITTEN, reason=error)] * len(addresses)

    def _tell(self, plan: LetterPlan, errors: Sequence[str], until: date) -> None:
        sent = errors.count("")
        if sent:
            noted = f"{plan.person.code} until {until} to {sent} addresses"
            self._commands.note(DASHBOARD, "letter_send", noted)
        if any(errors):
            # Neither the person nor an address stands in the log.
            log.warning("letters: one was not sent, tried again: %s", next(filter(None, errors)))

    def send(
        self,
        plan: LetterPlan,
        addresses: Sequence[str],
        until: date,
        stopping: Event | None = None,
        title: str = "{title}",
    ) -> list[str]:
        """Send a letter to some addresses; return the error of each, empty where it was taken.

        Args:
            plan: whom it is about.
            addresses: where it goes.
            until: the last day that it tells of.
            stopping: ends the attempt when it is set.
            title: what the subject becomes.

        Raises:
            AffectEdgeError: no mail server is known, or the letter cannot be written.
        """
        server = mail_server(self._options.alerts)
        letter = self._write(plan, until)
        # It may have been taken back meanwhile.
        present = self._letters.of(plan.person.code)
        if present is None or not present.may_send or present.agreed_ms != plan.agreed_ms:
            raise StudyError(N_("The letters were changed while one was written."))
        subject = title.format(title=letter.title)
        posts = [
            Post(addressed_to(server, one), subject, letter.body, picture=letter.picture)
            for one in addresses
        ]
        return post(posts, stopping)

    def _write(self, plan: LetterPlan, until: date) -> Letter:
        asked = (self._options.database, plan.person.code, until, plan.every.weeks)
        with speaking(plan.language):
            return self._computing.call(write_letter, *asked, self._options.device)
