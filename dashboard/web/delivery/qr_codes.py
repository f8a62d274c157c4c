"""Texts as pictures for the camera of a phone or tablet."""

from __future__ import annotations

from markupsafe import Markup


def qr_code(text: str) -> Markup:
    """Draw a text as a QR code, black on what lies behind it.

    Example:
        >>> str(qr_code("http://127.0.0.1/live"))[:4]
        '<svg'
    """
    import segno  # few pages need it

    code = segno.make(text, error="m", micro=False)
    # no value of ours is put into this markup but the text, which is drawn and not written
    return Markup(code.svg_inline(svgclass="qr", lineclass=None, omitsize=True, border=4))  # noqa: S704
