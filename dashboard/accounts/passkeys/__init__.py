"""Passkeys: a key pair in a phone, a computer or a security key, which signs instead of a password.

``challenges`` draws what is signed, ``ceremonies`` checks what a browser answers, and ``passkeys``
keeps them.

Example:
    >>> party = RelyingParty("box.local", "https://box.local:8080")
    >>> answer = Answer.read(text_of_the_browser)
    >>> login = passkeys.log_in(answer, party, challenges)
"""
