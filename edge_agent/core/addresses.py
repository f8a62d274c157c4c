"""Addresses that may hold a password, and the hiding of secrets in texts.

An :class:`Address` prints without its secrets wherever it is printed; only ``reveal`` returns it
whole, for whoever connects. Libraries repeat an address in their errors, often cut to pieces:
``Address.hide_in`` removes each piece from such a text. :func:`masked` knows no address. It masks
what looks like one in a log, an error or a finding, so that a place that was forgotten leaks
nothing.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from edge_agent.core.texts import Message

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

HIDDEN = "…"
"""What stands for a secret."""
_NAMES = (
    r"(?:[\w-]*[_-])?(?:pass(?:wor[dt]|wd|phrase|code)?|pwd|psw|pw|token|secret|api[_-]?key"
    r"|sig(?:nature)?|credentials?|authorization)"
)
"""Names whose values are secret, whatever text they stand in."""
_MORE_NAMES = rf"(?:{_NAMES}|user(?:name)?|usr|login|account|auth|key|access|sid|session|code)"
"""Names whose values are secret in an address: each may be half of a login."""
_IN_PATH = re.compile(rf"(?i)(?<![A-Za-z]){_MORE_NAMES}=([^/?#]*)")
"""Some cameras have it in the path: ``/user=admin&password=secret&channel=1``."""
_IS_SECRET = re.compile(rf"(?i){_MORE_NAMES}")
_URL = re.compile(r"""(?i)\b[a-z][a-z0-9+.-]*://(?!user:password@)[^\s"<>`]*[^\s"'<>`.,;:)\]}]""")
"""An address in a text; the login of our own examples is none."""
_WITHOUT_SCHEME = re.compile(
    r"""(?<![\w/@])(?!user:password@)[^\s:/"'<>@]+:[^\s/"'<>@]+@(?=[\w\[])"""
)
"""``name:password@host``."""
_ASSIGNED = re.compile(
    rf"""(?ix) (?<![\w-]) ( ["']? {_NAMES} ["']? \s? [=:] \s? (?:(?:Basic|Bearer|Digest)\s)? )
    ( "(?:[^"\\]|\\.)+" | '(?:[^'\\]|\\.)+' | (?<==)[^\s&;,"')\]}}]+ )"""
)
"""``password=secret``, ``"token": "secret"``."""
_IN_QUERY = re.compile(rf"""(?i)([?&]{_MORE_NAMES}=)[^\s&;,"'<>)\]}}]+""")
_HEADER = re.compile(
    r"\b(?i:(Basic|Bearer))\s+(?=[A-Za-z0-9+/_.~-]*[0-9A-Z_=])[A-Za-z0-9+/_.~-]{6,}=*"
)
_PIECES = re.compile(r"[@:/?#&=;,\s]+")
"""Where a parser may cut a password in pieces."""
_PUBLIC = frozenset({"from", "name", "mode", "format", "smtp", "priority", "tags", "method"})
"""Names of options that Apprise gives to its addresses."""
_ENDS_OF_HOST = re.compile(r"[/?#]")
_SHORT = 4
"""A piece with fewer characters is hidden only where it stands as a word of its own."""
_LEAST_VALUE = 6
"""Shortest value of a query that is hidden in texts though its name is harmless: ``channel=1``."""


class Address:
    """An address whose text contains no secret, however it is printed.

    Args:
        text: the whole address. Where a user, a password or a token may stand in it, they are
            hidden: all before the last ``@``, all behind ``?`` and ``#``, and values in the path
            such as ``password=secret``. A path, a name and a number print as they are.

    Example:
        >>> address = Address("rtsp://ada:p@ss/word@192.0.2.7:554/live?channel=1")
        >>> print(address)
        rtsp://…@192.0.2.7:554/live?…
        >>> address.hide_in("nonnumeric port: 'p@ss'")
        "nonnumeric port: '…'"
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the whole address, for whoever connects. Print it nowhere."""
        return self._text

    @cached_property
    def shown(self) -> str:
        """The address as it may be printed."""
        start, sign, rest = self._text.partition("://")
        if not sign:
            return self._shown_without_scheme()
        _login, rest = _split_login(rest)
        return f"{start}{sign}{HIDDEN + '@' if _login is not None else ''}{_shown_rest(rest)}"

    @property
    def scheme(self) -> str:
        """The part before ``://``, in small letters; empty: there is none."""
        start, sign, _ = self._text.partition("://")
        return start.lower() if sign else ""

    @property
    def host(self) -> str:
        """Name or number of the host; empty: there is none, or it cannot be told from a login."""
        _start, sign, rest = self._text.partition("://")
        login, after = _split_login(rest)
        if not sign or (login is not None and _ENDS_OF_HOST.search(login)):
            return ""
        try:
            return urlsplit(f"//{after}").hostname or ""
        except ValueError:
            return ""

    @property
    def problem(self) -> str:
        """Why no program can connect to it, without its secrets; empty: nothing is known."""
        _start, sign, _rest = self._text.partition("://")
        if not sign:
            return "" if self.shown == self._text else "does not begin like rtsp:// or http://"
        encoded = "in user and password write / as %2F, ? as %3F, # as %23, [ as %5B, ] as %5D"
        try:
            parts = urlsplit(self._text)
            _ = parts.port
        except ValueError as error:
            advice = f": {encoded}" if "@" in self._text else ""
            return f"is no address ({self.hide_in(str(error))}){advice}"
        if "@" in parts.fragment and parts.username is None:
            return f"holds # before its host: {encoded}"
        return "" if parts.hostname else "names no host"

    def hide_in(self, text: str) -> str:
        """Return a text, such as a library's error, without the secrets of this address.

        They are found whole and in pieces, plain, percent-encoded, and as the base64 of a header.
        """
        if self._pattern is not None:
            text = self._pattern.sub(HIDDEN, text)
        return masked(text)

    def _letters(self) -> frozenset[str]:
        """Return the pieces of the password of one character: hidden where they stand alone."""
        login, _ = _split_login(self._text.rpartition("://")[2])
        return frozenset(
            one for one in _PIECES.split((login or "").partition(":")[2]) if one[1:] == ""
        )

    def _secrets(self) -> Iterator[tuple[str, bool]]:
        """Yield each text to be hidden, and whether only as a word of its own."""
        _start, _sign, rest = self._text.rpartition("://")
        login, after = _split_login(rest)
        if login:
            yield login, False
            user, _, password = login.partition(":")
            yield from ((part, True) for part in (user, unquote(user)))
            for part in (password, unquote(password)):
                yield part, False
                yield from ((piece, True) for piece in _PIECES.split(part))
                # What takes a sign within for the end of the login repeats what stands before it.
                for sign in _PIECES.finditer(part):
                    yield from ((part[: sign.start()], True), (part[sign.end() :], True))
            header = b64encode(unquote(login).encode()).decode()
            yield from ((one, False) for one in (header, header.rstrip("=")))
        path, _, behind = _cut(after)
        yield from ((part[1], False) for part in _IN_PATH.finditer(path))
        yield behind, False
        for name, value in parse_qsl(behind.replace("#", "&"), keep_blank_values=True):
            if _IS_SECRET.fullmatch(name) or len(value) >= _LEAST_VALUE:
                yield value, False

    @cached_property
    def _pattern(self) -> re.Pattern[str] | None:
        known, letters = {"", self.host, self.scheme}, self._letters()
        patterns = {
            _pattern_of(secret, as_word=as_word or len(secret) < _SHORT)
            for secret, as_word in sorted(set(self._secrets()), key=lambda one: -len(one[0]))
            if (len(secret) > 1 or secret in letters) and secret not in known
        }
        longest_first = sorted(patterns, key=len, reverse=True)
        return re.compile("|".join(longest_first), re.IGNORECASE) if patterns else None

    def _shown_without_scheme(self) -> str:
        before, at, after = self._text.rpartition("@")
        if at and ":" in before:
            return f"{HIDDEN}@{_shown_rest(after)}"
        return _hide_in_path(self._text)

    def __str__(self) -> str:
        return self.shown

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.shown!r})"

    def __format__(self, form: str) -> str:
        return format(self.shown, form)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Address) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: Any, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Return how pydantic reads one, a text, and writes it: masked."""
        from pydantic_core import core_schema

        text = core_schema.no_info_before_validator_function(_text_of, core_schema.str_schema())
        return core_schema.no_info_after_validator_function(
            cls,
            text,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda address, info: str(address) if info.mode == "json" else address,
                info_arg=True,
            ),
        )


class MessageAddress(Address):
    """An address of a message service, which may hold tokens anywhere.

    Its text is the kind of the service and, where it has a dot, the machine.

    Example:
        >>> print(MessageAddress("tgram://123456:ABC-token/98765"))
        tgram://…
    """

    @cached_property
    def shown(self) -> str:
        """Kind and machine."""
        if not re.fullmatch(r"[a-z][a-z0-9]*", self.scheme):
            return HIDDEN
        return f"{self.scheme}://{self.machine + '/' if self.machine else ''}{HIDDEN}"

    @property
    def machine(self) -> str:
        """The host if it has a dot; one without is a token or the name of a person."""
        return self.host if "." in self.host else ""

    @property
    def host(self) -> str:
        """Name of the machine, as Apprise reads it."""
        try:
            return urlsplit(self._text).hostname or ""
        except ValueError:
            return ""

    def _secrets(self) -> Iterator[tuple[str, bool]]:
        yield from super()._secrets()
        for part in re.split(r"[/:@?&=,]", self._text):
            if len(part) >= _SHORT and part.lower() not in _PUBLIC:
                yield part, False
                yield unquote(part), False

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: Any) -> dict[str, Any]:
        """Return the schema of a text that is never shown."""
        return dict(handler(schema)) | {"format": "password", "writeOnly": True}


def masked(text: str) -> str:
    """Return a text in which whatever looks like a secret is masked; without any, the same text.

    These are logins and queries of addresses, and values such as ``password=secret``. A
    :class:`Message` stays one.

    Example:
        >>> masked("cannot open rtsp://ada:secret@192.0.2.7/live: timed out")
        'cannot open rtsp://…@192.0.2.7/live: timed out'
    """
    if isinstance(text, Message):
        return _masked_message(text)
    # Most texts hold none of these, and are done at once.
    if not any(sign in text for sign in ("://", "=", "@", '":', "':", "asic ", "earer ")):
        return text
    shown = _URL.sub(lambda url: _masked_url(url[0]), text)
    shown = _WITHOUT_SCHEME.sub(f"{HIDDEN}@", shown)
    shown = _ASSIGNED.sub(lambda part: part[1] + _in_quotes(part[2]), shown)
    shown = _IN_QUERY.sub(rf"\g<1>{HIDDEN}", shown)
    shown = _HEADER.sub(rf"\g<1> {HIDDEN}", shown)
    return text if shown == text else shown


def hide_each(secrets: Iterable[str], text: str) -> str:
    """Return a text without some secrets, plain or percent-encoded."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) > 1:
            pattern = _pattern_of(secret, as_word=len(secret) < _SHORT)
            text = re.sub(pattern, HIDDEN, text, flags=re.IGNORECASE)
    return text


def _masked_message(text: Message) -> Message:
    values = {
        name: masked(value) if isinstance(value, str) else value
        for name, value in text.values.items()
    }
    # A template with placeholders was written here; one without may be any text.
    template = text.template if values else masked(str(text.template))
    if template == text.template and all(values[name] is text.values[name] for name in values):
        return text
    return Message(template, **values)


def _masked_url(text: str) -> str:
    """Mask an address; that of PostgreSQL may show who reads it, as our examples do."""
    start, sign, rest = text.partition("://")
    if start.lower() in {"postgresql", "postgres"}:
        user, at, after = rest.partition("@")
        if at and re.fullmatch(r"[\w-]+", user) and "@" not in after:
            return f"{start}{sign}{user}@{_shown_rest(after)}"
    return Address(text).shown


def _in_quotes(value: str) -> str:
    quote = value[0] if value[0] in "\"'" else ""
    return f"{quote}{HIDDEN}{quote}"


def _split_login(rest: str) -> tuple[str | None, str]:
    """Split what stands behind ``://``: login, ``None`` without one, and the remainder.

    A password often holds an ``@``, ``/``, ``?`` or ``#`` that should have been encoded. So the
    login ends at the last ``@``, unless what begins like a host has no login: ``host/a@b``.
    """
    end = min((rest.index(mark) for mark in "/?#" if mark in rest), default=len(rest))
    place = rest[:end]
    if "@" in rest and ("@" in place or ":" in place.rpartition("]")[2]):
        login, _, after = rest.rpartition("@")
        return login, after
    port = place.rpartition("]")[2].partition(":")[2]
    if port and not port.isdecimal() and "[" not in place:
        # an address that was cut off within its password
        return rest, ""
    return None, rest


def _cut(rest: str) -> tuple[str, str, str]:
    """Split into host and path, the mark behind them, and the query or fragment."""
    end = min((rest.index(mark) for mark in "?#" if mark in rest), default=len(rest))
    return rest[:end], rest[end : end + 1], rest[end + 1 :]


def _shown_rest(rest: str) -> str:
    path, mark, behind = _cut(rest)
    return f"{_hide_in_path(path)}{mark}{HIDDEN if behind else ''}"


def _hide_in_path(path: str) -> str:
    def hide(part: re.Match[str]) -> str:
        return part[0][: part.start(1) - part.start()] + HIDDEN

    return _IN_PATH.sub(hide, path)


def _pattern_of(secret: str, *, as_word: bool) -> str:
    """Return a pattern of a secret in which each character may be percent-encoded."""
    pattern = "".join(map(_pattern_of_character, secret))
    return rf"(?<!\w){pattern}(?!\w)" if as_word else pattern


def _pattern_of_character(one: str) -> str:
    # ``%(?:25)*``: encoded once or again
    encoded = "".join(f"%(?:25)*{byte:02x}" for byte in one.encode("utf-8", "surrogatepass"))
    plain = rf"\\?{re.escape(one)}" if one in "\"'\\" else re.escape(one)
    more = r"|\+" if one == " " else ""
    return f"(?:{plain}|{encoded}{more})"


def _text_of(value: Any) -> Any:
    return value.reveal() if isinstance(value, Address) else value
