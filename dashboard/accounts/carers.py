"""People whose week a carer may see: a list of people for each account with that role.

The list lies in the dashboard's own database, and names people by their code and the time when they
were enrolled: a code of somebody who was erased may be given to another person, whom the carer must
not see. What names nobody any more is deleted when the list is looked at, and when anybody is
erased from the dashboard.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from dashboard.accounts.notes import Notes
from dashboard.accounts.passwords import AccountError
from dashboard.accounts.roles import Role
from edge_agent.core.texts import N_, Message
from edge_agent.timeline.database.dashboard_file import read_dashboard, write_dashboard
from edge_agent.timeline.study.people import Enrolled, everybody
from edge_agent.timeline.upkeep.dashboard_erasure import settle_people

MOST = 200
"""People of one carer."""


class Carers:
    """The lists of the carers.

    Args:
        path: the database of the timeline.

    Example:
        >>> carers.give(number, ["P-01", "P-02"], "ada")
        >>> [one.code for one in carers.people_of(number)]
        ['P-01', 'P-02']
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._note = Notes(path).note_within

    def people_of(self, account: int) -> list[Enrolled]:
        """Return the people that an account was given, by code.

        Raises:
            StoreError: one of the databases cannot be read.
        """
        return self.lists().get(account, [])

    def lists(self) -> dict[int, list[Enrolled]]:
        """Return the people of each account that was given any, by its number.

        Raises:
            StoreError: one of the databases cannot be read.
        """
        given = self._read_given()
        if not given:
            return {}
        people = {(one.code, one.created_ms): one for one in everybody(self._path)}
        if any(key not in people for _, key in given):
            settle_people(self._path)
            given = self._read_given()
        lists: dict[int, list[Enrolled]] = {}
        for account, key in given:
            if key in people:
                lists.setdefault(account, []).append(people[key])
        return {
            account: sorted(own, key=lambda one: one.code.casefold())
            for account, own in lists.items()
        }

    def give(self, account: int, codes: Collection[str], actor: str) -> None:
        """Give a carer these people, instead of those so far.

        Args:
            account: its number.
            codes: of the participants; their case does not matter.
            actor: who does it, for the audit trail.

        Raises:
            AccountError: there is no such account, it is no carer, one of the codes names nobody,
                or there are too many; nothing was changed.
        """
        people = {one.code.casefold(): one for one in everybody(self._path)}
        unknown = next((code for code in codes if code.casefold() not in people), None)
        if unknown is not None:
            raise AccountError(
                N_("There is no participant {code!r}. Look at the list on the Study page."),
                code=unknown,
                field="people",
            )
        wanted = {people[code.casefold()].code: people[code.casefold()] for code in codes}
        if len(wanted) > MOST:
            raise AccountError(
                N_("A carer can be given {most} people; these are {given}."),
                most=MOST,
                given=len(wanted),
                field="people",
            )
        with write_dashboard(self._path) as connection:
            row = connection.execute(
                "SELECT name, role FROM account WHERE id = ?", (account,)
            ).fetchone()
            if row is None:
                raise AccountError(N_("This account no longer exists. Reload the page."))
            if row["role"] != Role.CARER:
                raise AccountError(
                    N_("{name} is {role}: only a carer is given people. Change the role first."),
                    name=row["name"],
                    role=Message(row["role"]),
                    field="people",
                )
            before = {
                str(code)
                for (code,) in connection.execute(
                    "SELECT code FROM carer_person WHERE account = ?", (account,)
                )
            }
            connection.execute("DELETE FROM carer_person WHERE account = ?", (account,))
            connection.executemany(
                "INSERT INTO carer_person (account, code, enrolled) VALUES (?, ?, ?)",
                [(account, one.code, one.created_ms) for one in wanted.values()],
            )
            # A line for each, in which an erasure finds the code.
            for code in sorted(wanted.keys() - before):
                self._note(connection, actor, "account_person_give", f"{code} to {row['name']}")
            for code in sorted(before - wanted.keys()):
                self._note(connection, actor, "account_person_take", f"{code} from {row['name']}")

    def _read_given(self) -> list[tuple[int, tuple[str, int]]]:
        with read_dashboard(self._path) as connection:
            return [
                (int(row["account"]), (str(row["code"]), int(row["enrolled"])))
                for row in connection.execute("SELECT account, code, enrolled FROM carer_person")
            ]
