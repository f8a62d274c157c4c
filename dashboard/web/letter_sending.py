"""The thread that sends the letters about people's weeks when they are due.

A letter is claimed in the dashboard's database before it is sent, so that nothing sends it twice.
One that was surely not taken is sent again until the next one is due; one that was perhaps taken is
not. Letters use the mail server of the alerts.
"""

from __future__ import annotations

import functools
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from dashboard.accounts.letters import Addressed, LetterPlan, Letters
from dashboard.computing.processes import ComputationFailedError, Computing
from dashboard.languages.current import speaking
from dashboard.questions.week.letter import Letter, write_letter
from dashboard.web.options import DashboardOptions
from edge_agent.alerts.claims import Claims, MessageOutcome, Parcel
from edge_agent.alerts.sending import AlertOptions, Courier, Post, Target, post
from edge_agent.core import clock
from edge_agent.core.addresses import MessageAddress
from edge_agent.core.bounds import DASHBOARD
from edge_agent.core.errors import AffectEdgeError, StudyError
from edge_agent.core.texts import N_, Message, text_of
from edge_agent.core.threads import Worker
from edge_agent.timeline.gate.commands import Commands

log = logging.getLogger(__name__)

LOOK_S = 60.0
_UNNOTED = 1_000
"""Lines of the audit trail that wait to be written; the oldest goes first."""
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


def _key(plan: LetterPlan, to: Addressed, until: date) -> tuple[str, int, str, date]:
    return plan.person.code, plan.person.created_ms, to.address.casefold(), until


def _after_failure(before: Addressed, at_ms: int, error: str) -> Addressed:
    return replace(before, tries=before.tries + 1, tried_ms=at_ms, error=error)


class LetterSender(Worker):
    """Sends each letter at most once for its period.

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
        self._claims = Claims("letters")
        self._unknown: set[tuple[str, int, str, date]] = set()
        self._unnoted: deque[str] = deque(maxlen=_UNNOTED)
        self._trail_fails = False

    @property
    def waits(self) -> str:
        """Why nothing is sent now; empty: nothing keeps letters from being sent."""
        return self._claims.waits

    @property
    def waits_since_ms(self) -> int:
        """Since when that is so, UTC milliseconds."""
        return self._claims.waits_since_ms

    def work(self) -> None:
        """Look each minute for letters that are due, until stopped."""
        while not self.stopping.wait(LOOK_S):
            self.look()

    def look(self) -> None:
        """Send what is due; where a database cannot be read or written, wait until it can."""
        try:
            self.send_due()
        except AffectEdgeError as error:
            self._claims.note_trouble(error)

    def until(self, plan: LetterPlan) -> date:
        """Return the last day of the newest period of some letters."""
        return plan.every.until(clock.utc_at(self._now_ms()).astimezone())

    def due(self, plan: LetterPlan) -> list[Addressed]:
        """Return the addresses to which a letter is to be sent now."""
        until, now_ms = self.until(plan), self._now_ms()
        return [one for one in plan.addresses if plan.may_send and one.is_due(until, now_ms)]

    def send_due(self) -> None:
        """Send what is due, each letter at most once, unless it was surely not taken.

        Raises:
            AffectEdgeError: a database cannot be read or written.
        """
        if self._claims.waits:
            self._letters.check_writable()  # before letters are written that may not be sent
        self._note_in_trail()
        plans = self._letters.all()
        self._report_unknown(plans)
        for plan in plans:
            due = self.due(plan)
            if due and not self.stopping.is_set():
                self._send(plan, due)
                if self._claims.waits:
                    return
        self._claims.send([], self.stopping)  # what is not written yet

    def _send(self, plan: LetterPlan, due: Sequence[Addressed]) -> None:
        until, now_ms = self.until(plan), self._now_ms()
        try:
            posts = self._posts(plan, [one.address for one in due], until)
        except (AffectEdgeError, ComputationFailedError) as error:
            is_ours = isinstance(error, AffectEdgeError)
            why = text_of(error) if is_ours else Message(_NOT_WRITTEN, reason=error)
            if self.stopping.is_set():
                return  # it was not tried
            for one in due:
                self._letters.put_back(plan.person, _after_failure(one, now_ms, why))
            self._claims.note_well()
            self._report_failure(why)
            return
        with Courier(stopping=self.stopping) as courier:
            parcels = [
                self._parcel(plan, before, until, functools.partial(courier.send, ready))
                for before, ready in zip(due, posts, strict=True)
            ]
            tried = self._claims.send(parcels, self.stopping)
        self._report(plan, until, [outcome for _, outcome in tried])

    def _parcel(
        self, plan: LetterPlan, before: Addressed, until: date, send: Callable[[], MessageOutcome]
    ) -> Parcel:
        at_ms, person = self._now_ms(), plan.person
        key = _key(plan, before, until)

        def claim() -> bool:
            return self._letters.claim(plan, before.address, until, at_ms)

        def write(outcome: MessageOutcome) -> None:
            if outcome.is_sent:
                self._letters.note_sent(person, before.address, until, at_ms)
            elif outcome.is_refused:
                failed = (
                    before
                    if self.stopping.is_set()
                    else _after_failure(before, at_ms, outcome.error)
                )
                self._letters.put_back(person, failed)
            # Else the claim says what is known.

        return Parcel(key, claim, send, write)

    def _report(self, plan: LetterPlan, until: date, outcomes: Sequence[MessageOutcome]) -> None:
        for words, count in (
            ("to", sum(one.is_sent for one in outcomes)),
            ("perhaps to", sum(one.may_have_arrived for one in outcomes)),
        ):
            if count:
                noted = f"{plan.person.code} until {until} {words} {count} addresses"
                self._unnoted.append(noted)
        self._note_in_trail()
        refused = [one.error for one in outcomes if one.is_refused]
        if refused:
            self._report_failure(refused[0])

    def _report_failure(self, error: str) -> None:
        # Neither the person nor an address stands in the log.
        log.warning("letters: one was not sent, tried again: %s", error)

    def _report_unknown(self, plans: Sequence[LetterPlan]) -> None:
        """Log how many letters were perhaps sent, where it is more than before."""
        keys = [
            _key(plan, one, one.until) for plan in plans for one in plan.addresses if one.is_unknown
        ]
        unknown = {key for key in keys if key not in self._claims}
        new = len(unknown - self._unknown)
        self._unknown = unknown
        if new:
            log.warning(
                "letters: %d perhaps sent, not sent again: this program ended, or the mail server "
                "did not answer, before it was known. The page Health names the people.",
                new,
            )

    def _note_in_trail(self) -> None:
        """Note in the audit trail what left the house; where it cannot be written, later."""
        while self._unnoted:
            try:
                self._commands.note(DASHBOARD, "letter_send", self._unnoted[0])
            except AffectEdgeError as error:
                if not self._trail_fails:
                    log.warning("letters: the audit trail has those sent later: %s", error)
                self._trail_fails = True
                return
            self._unnoted.popleft()
            self._trail_fails = False

    def send(
        self, plan: LetterPlan, addresses: Sequence[str], until: date, title: str = "{title}"
    ) -> list[str]:
        """Send a letter that somebody asked for; return the error of each address, or nothing.

        Args:
            plan: whom it is about.
            addresses: where it goes.
            until: the last day that it tells of.
            title: what the subject becomes.

        Raises:
            AffectEdgeError: no mail server is known, or the letter cannot be written.
        """
        return post(self._posts(plan, addresses, until, title), self.stopping)

    def _posts(
        self, plan: LetterPlan, addresses: Sequence[str], until: date, title: str = "{title}"
    ) -> list[Post]:
        """Write a letter, for each address.

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
        return [
            Post(addressed_to(server, one), subject, letter.body, picture=letter.picture)
            for one in addresses
        ]

    def _write(self, plan: LetterPlan, until: date) -> Letter:
        asked = (self._options.database, plan.person.code, until, plan.every.weeks)
        with speaking(plan.language):
            return self._computing.call(write_letter, *asked, self._options.device)
