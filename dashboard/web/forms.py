"""Refused forms: a page shows again what was typed, and the problem beside its field.

A route that takes a form names the page with the form, and raises what is wrong with it. The
application then answers with that page, whose template finds ``refused``::

    @router.post("/study/sessions/{number}/markers", dependencies=[form_of(PAGE, MarkerForm)])

The templates ask by the address to which a form is sent, since a page may have several forms:

>>> refused = Refused("/tokens", {"name": "watch", "role": "viewer"}, {"name": "Choose another."})
>>> refused.of("/tokens").value("name"), refused.of("/accounts").value("name", "new")
('watch', 'new')
>>> print(refused.about("name", "name-hint"))
aria-describedby="name-hint name-problem" aria-invalid="true" autofocus
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from fastapi import Depends, Request
from markupsafe import Markup
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData

from dashboard.languages.names import said_of
from dashboard.languages.refused import refused_text
from dashboard.languages.templates import with_times
from edge_agent.core.errors import AffectEdgeError, StoreError


class RequestError(AffectEdgeError):
    """A value of a request that cannot be, or not together with another one."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A form that was refused.

    Attributes:
        action: the address to which it was sent; empty: no form was refused.
        values: the typed values by field; passwords are left out.
        problems: what is wrong, by field; the name is empty for what concerns no single field.
        status: of the answer that shows the form again.
        wait: seconds after which to try again, which the answer tells; 0: at once.
    """

    action: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    status: int = 200
    wait: int = 0

    @classmethod
    def by(
        cls,
        request: Request,
        error: AffectEdgeError,
        fields: Mapping[str, Any],
        other: Mapping[str, str] = MappingProxyType({}),
    ) -> Refused:
        """Return the form of a request that an error refuses.

        Args:
            request: what was sent.
            error: its ``field`` is the wrong one.
            fields: every field that the page shows, as typed.
            other: the name in the form of a field that the error names otherwise.
        """
        name = other.get(error.field, error.field)
        # A field that the page does not show would hide the problem.
        return cls(request.url.path, fields, {name if name in fields else "": said_of(error)})

    @classmethod
    def invalid(cls, action: str, error: ValidationError, fields: Mapping[str, Any]) -> Refused:
        """Return a form of which pydantic refuses values; the others are as in :meth:`by`."""
        problems: dict[str, str] = {}
        for detail in error.errors(include_input=False):  # it may be a password
            name = str(detail["loc"][0]) if detail["loc"] else ""
            text = refused_text(detail)
            text = f"{text[:1].upper()}{text[1:]}."
            if name not in fields:
                text, name = f"{name}: {text}" if name else text, ""
            problems[name] = f"{problems.get(name, '')} {text}".strip()
        return cls(action, fields, problems)

    def of(self, action: str) -> Refused:
        """Return this for the form that was refused, and an empty one for every other."""
        return self if action == self.action else NOTHING_REFUSED

    def value(self, name: str, present: Any = "") -> Any:
        """Return what was typed into a field; the present value where nothing was refused."""
        return self.values.get(name, present)

    def chosen(self, name: str, present: Collection[str] = ()) -> Collection[str]:
        """Return what was chosen of a field that takes several; as in :meth:`value`."""
        values = self.values.get(name, present)
        return [values] if isinstance(values, str) else values

    def about(self, name: str, hint: str = "") -> Markup:
        """Return the attributes that tie a field to its hint and its problem."""
        wrong = name in self.problems
        ids = " ".join(filter(None, (hint, f"{name}-problem" * wrong)))
        attributes = Markup('aria-describedby="{}"').format(ids) if ids else Markup()
        return attributes + Markup(' aria-invalid="true" autofocus') * wrong

    def note(self, name: str = "") -> Markup:
        """Return the problem of a field, or the one that concerns no single field."""
        if name not in self.problems:
            return Markup()
        if not name:
            return Markup('<p class="notice notice-bad notice-lines" role="alert">{}</p>').format(
                self.problems[name]
            )
        return Markup('<p class="field-problem" id="{}-problem">{}</p>').format(
            name, with_times(self.problems[name])
        )


NOTHING_REFUSED = Refused()


def as_problem_of(field: str, check: Callable[[], object]) -> None:
    """Call a check, and make what the timeline refuses the problem of a field.

    Raises:
        RequestError: the check failed.
    """
    try:
        check()
    except StoreError as error:
        raise RequestError(said_of(error), field=field) from error


@dataclass(frozen=True, slots=True)
class FormPage:
    """The page that has a form, and shows it again when the form is refused.

    Attributes:
        path: its address, with the parameters of the address to which the form is sent; a query
            stands in the place of the one that was sent.
        fields: the fields that the page shows; ``None``: those that were sent.
        renamed: the field of the form by the name that an error gives it.
        rest: the field of every other name that an error gives; empty: such a problem stands above
            the form.
        secret: fields of which the page does not show again what was typed.
    """

    path: str
    fields: frozenset[str] | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    rest: str = ""
    secret: frozenset[str] = frozenset()

    def typed(self, sent: FormData) -> dict[str, Any]:
        """Return the values of a form as they were typed; several of one field as a list."""
        names = sent.keys() if self.fields is None else self.fields
        values: dict[str, Any] = {}
        for name in names:
            texts = [text for text in sent.getlist(name) if isinstance(text, str)]
            values[name] = texts if len(texts) > 1 else "".join(texts)
        return values | dict.fromkeys(self.secret, "")

    def refused(self, action: str, error: AffectEdgeError, typed: Mapping[str, Any]) -> Refused:
        """Return a form of this page that an error refuses.

        Args:
            action: the address to which it was sent.
            error: its ``field`` is the wrong one.
            typed: what was typed.
        """
        name = self.renamed.get(error.field, error.field)
        # A field that the page does not show would hide the problem.
        if name not in typed:
            name = self.rest if name else ""
        return Refused(action, typed, {name: said_of(error)})


def form_of(
    page: str,
    form: type[BaseModel] | None = None,
    *,
    renamed: Mapping[str, str] = MappingProxyType({}),
    rest: str = "",
    secret: Iterable[str] = (),
) -> Any:
    """Return the dependency with which a route says that a page sends it a form.

    What the route raises is shown on that page: every error of ours but those of the database, and
    values that the form's model refuses.

    Args:
        page: the page's address; its parameters are those of the route.
        form: the model of the form, for the names of its fields.
        renamed: the field of the form by the name that an error gives it.
        rest: the field of every other name that an error gives.
        secret: fields that are shown empty.
    """
    fields = None if form is None else frozenset(form.model_fields)
    shown_on = FormPage(page, fields, renamed, rest, frozenset(secret))

    async def remember(request: Request) -> None:
        request.state.form_page = shown_on

    return Depends(remember)


def refused_of(request: Request) -> Refused:
    """Return the form that a request shows again; one without an action: none was refused."""
    return getattr(request.state, "refused", NOTHING_REFUSED)


def form_page_of(request: Request) -> FormPage | None:
    """Return the page whose form a request sends; ``None``: it sends none."""
    return getattr(request.state, "form_page", None)
