"""What a browser is asked, and the check of what it answers (WebAuthn level 2, §7).

The library ``webauthn`` reads and checks; its errors become ours here, and nothing else of this
project knows it. It is loaded by who uses a passkey: it brings 15 MB with it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from dashboard.accounts.account_rows import Account
from dashboard.accounts.passkeys.challenges import handle_of
from dashboard.accounts.passwords import AccountError
from edge_agent.core.clock import now
from edge_agent.core.texts import N_
from edge_agent.store.write.accounts.credentials import PasskeyRow

ANSWER_MAX = 20_000
"""Characters of an answer; those of browsers have about a thousand."""
LOGIN_S = 300
ISSUER = "Affect Edge"

REFUSED = N_(
    "This passkey does not fit. It may have been removed here, or be one of another device or of "
    "another name of this one. Log in with the password."
)
NOT_MADE = N_("No passkey was made: what the browser answered does not fit. Try again.")


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Under which name passkeys are made and used.

    Attributes:
        host: the host name, without port.
        origin: scheme, host and port, as browsers say it.
    """

    host: str
    origin: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a browser answered, not checked yet.

    Attributes:
        credential: the whole of it.
        id: of the passkey, as the browser says it.
        challenge: that was signed.
        handle: what the browser was told instead of the account's number; empty: it does not say.
    """

    credential: dict[str, Any]
    id: str
    challenge: bytes
    handle: str

    @classmethod
    def read(cls, text: str) -> Answer:
        """Read an answer.

        Raises:
            AccountError: it is none.
        """
        from webauthn.helpers import base64url_to_bytes, parse_client_data_json
        from webauthn.helpers.exceptions import WebAuthnException

        try:
            credential = json.loads(text[: ANSWER_MAX + 1])
            response = credential["response"]
            client_data = base64url_to_bytes(response["clientDataJSON"])
            challenge = parse_client_data_json(client_data).challenge
            handle = response.get("userHandle") or ""
            known = {"id": credential["id"], "handle": handle}
            if not all(isinstance(value, str) for value in known.values()):
                raise AccountError(REFUSED)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise AccountError(REFUSED) from error
        except WebAuthnException as error:
            raise AccountError(REFUSED) from error
        return cls(credential, credential["id"], challenge, handle.rstrip("="))


def creation_options(
    account: Account, party: RelyingParty, challenge: bytes, kept: list[PasskeyRow]
) -> str:
    """Return what a browser has to know to make a passkey, as JSON.

    Args:
        account: whose it is to be.
        party: where it is to work.
        challenge: that it signs.
        kept: the passkeys that the account has; who holds one of them makes no second.
    """
    import webauthn
    from webauthn.helpers import base64url_to_bytes
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        PublicKeyCredentialDescriptor,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    return webauthn.options_to_json(
        webauthn.generate_registration_options(
            rp_id=party.host,
            rp_name=ISSUER,
            user_name=account.name,
            user_id=handle_of(challenge),
            challenge=challenge,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[
                PublicKeyCredentialDescriptor(id=base64url_to_bytes(one.id)) for one in kept
            ],
        )
    )


def made_passkey(answer: Answer, party: RelyingParty, name: str) -> PasskeyRow:
    """Return the passkey that a browser has made, once its challenge is spent.

    Raises:
        AccountError: the answer does not fit, or nobody was verified.
    """
    import webauthn
    from webauthn.helpers import bytes_to_base64url
    from webauthn.helpers.exceptions import WebAuthnException

    try:
        made = webauthn.verify_registration_response(
            credential=answer.credential,
            expected_challenge=answer.challenge,
            expected_rp_id=party.host,
            expected_origin=party.origin,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, TypeError, KeyError, AttributeError) as error:
        raise AccountError(NOT_MADE) from error
    return PasskeyRow(
        id=bytes_to_base64url(made.credential_id),
        public_key=bytes_to_base64url(made.credential_public_key),
        handle=bytes_to_base64url(handle_of(answer.challenge)),
        host=party.host,
        name=name,
        sign_count=made.sign_count,
        created_ms=now().wall_ms,
    )


def login_options(party: RelyingParty, challenge: bytes, kept: list[PasskeyRow]) -> str:
    """Return what a browser has to know to log in, as JSON.

    Args:
        party: where.
        challenge: that the passkey signs.
        kept: passkeys of which one is wanted; none: any that the browser knows.
    """
    import webauthn
    from webauthn.helpers import base64url_to_bytes
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor, UserVerificationRequirement

    return webauthn.options_to_json(
        webauthn.generate_authentication_options(
            rp_id=party.host,
            challenge=challenge,
            user_verification=UserVerificationRequirement.REQUIRED,
            allow_credentials=[
                PublicKeyCredentialDescriptor(id=base64url_to_bytes(one.id)) for one in kept
            ]
            or None,
        )
    )


def new_sign_count(answer: Answer, party: RelyingParty, passkey: PasskeyRow) -> int:
    """Return how often a passkey has signed, after checking its signature.

    Raises:
        AccountError: the answer does not fit, nobody was verified, or the count went back: then
            there may be a copy of the passkey.
    """
    import webauthn
    from webauthn.helpers import base64url_to_bytes
    from webauthn.helpers.exceptions import WebAuthnException

    if passkey.host != party.host or answer.handle not in {"", passkey.handle}:
        raise AccountError(REFUSED)
    try:
        checked = webauthn.verify_authentication_response(
            credential=answer.credential,
            expected_challenge=answer.challenge,
            expected_rp_id=party.host,
            expected_origin=party.origin,
            credential_public_key=base64url_to_bytes(passkey.public_key),
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, TypeError, KeyError, AttributeError) as error:
        raise AccountError(REFUSED) from error
    return checked.new_sign_count
