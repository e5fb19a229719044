"""Images in texts: as a data URL (RFC 2397), or in base64 (RFC 4648) with or without one.

A text comes in stretches, as `Members.stretches` gives it, since it may be twenty megabytes: it is looked at where it lies, in
one pass over small copies, and nothing is decoded but the beginning. What is as it should be goes out as it came. What
is not, but can only mean one image, is put right:

* the payload percent-encoded, in the URL-safe alphabet, with white space in it, with padding missing or too much of it;
* the media type of another format, an alias (`image/jpg`) or none; capital letters, which RFC 2397 allows and servers
  that compare letter by letter do not;
* base64 without `data:…;base64,` before it, or without the word `base64` in it; bytes that are percent-encoded and no base64.

Parameters (`;name=x.png`) are allowed and stay. All the rest is refused.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from ..errors import BadImage
from ..web.members import PLAIN_ESCAPES, Stretch
from . import images

Text = Sequence[str | Stretch]  # of which the first and the last are str

CHUNK = 64 * 1024  # small enough to stay in the processor's cache
# How many characters of base64 are decoded to find an image's size, one after the other: enough for all formats but JPEG;
# behind a thumbnail; behind colour profiles and several previews.
HEADS = (1024, 128 * 1024, 1024 * 1024)
SHOWN_CHARS = 40
MOST_ESCAPES = 2_000_000  # twice what base64 of 20 MB needs; each takes a fraction of a microsecond

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BLANKS = " \t\r\n\f\v"
_BLANK_BYTES = _BLANKS.encode()
_URL_SAFE = bytes.maketrans(b"-_", b"+/")

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_SOUND_HEADER = re.compile(rf'data:([a-z0-9.+-]+/[a-z0-9.+-]+)(?:;{_TOKEN}=(?:{_TOKEN}|"[^",;]*"))*;base64,')
REMOTE = frozenset({"http", "https"})


class Image(NamedTuple):
    """An image in a text: what its bytes say it is, its width and height if they tell, and its base64 as it should be sent.
    `sound`: it is sent as it came."""

    media_type: str
    size_bytes: int
    size: tuple[int, int] | None
    payload: Text
    sound: bool

    @property
    def url(self) -> Text:
        return [f"data:{self.media_type};base64,", *self.payload]


def read_url(text: Text, most_bytes: int) -> Image | None:
    """The image a text holds; None when it is the address of one, which is not fetched. Raises BadImage."""
    lead = _lead(text)
    begin = lead.lstrip(_BLANKS)
    scheme = _SCHEME.match(begin)
    if scheme is None:
        return _read_bare(text, most_bytes)
    name = scheme[1].lower()
    if name in REMOTE:
        return None
    if name != "data":
        raise BadImage(
            f"An image is given as a data URL or by its http(s) address, not by '{name[:SHOWN_CHARS]}:'. "
            "Send the image itself: data:image/png;base64,…"
        )
    header, comma, payload = begin.partition(",")
    if not comma:
        raise BadImage("The data URL has no comma, behind which the image would be: data:image/png;base64,…")
    sound = _SOUND_HEADER.fullmatch(lead, 0, len(header) + 1)
    if sound is not None:
        return read_base64([payload, *text[1:]], sound[1], most_bytes)
    words = [word.strip(_BLANKS).lower() for word in header[len("data:") :].split(";")]
    rest: Text = [payload, *text[1:]]
    if "base64" not in words[1:]:
        rest = _encoded(rest)
    return read_base64(rest, words[0], most_bytes)._replace(sound=False)


def read_base64(text: Text, declared: str, most_bytes: int) -> Image:
    """The image that base64 holds, said to be of this type. Raises BadImage."""
    payload, chars, sound = _checked(text)
    size_bytes = chars * 3 // 4
    if size_bytes > most_bytes:
        raise images.too_large(size_bytes, most_bytes)
    for most in HEADS:
        head = _decoded(payload, most)
        media_type, size = images.identify(head), images.size_of(head)
        if size is not None or media_type != "image/jpeg" or most >= chars:
            break
    if media_type is None or not images.is_image(media_type):
        raise images.no_image(head)
    return Image(media_type, size_bytes, size, payload, sound and images.may_be_called(media_type, declared))


def _read_bare(text: Text, most_bytes: int) -> Image:
    """The image of a text that is no URL: base64, or something else by mistake."""
    lead = _lead(text)
    if images.is_svg(lead.encode("utf-8", "replace")):
        raise images.no_image(lead.encode("utf-8", "replace"))
    try:
        return read_base64(text, "", most_bytes)._replace(sound=False)
    except BadImage:
        if len(text) > 1 or len(lead) > SHOWN_CHARS:
            raise
        raise BadImage(
            f"{lead!a} is neither a data URL nor an http(s) address, nor an image in base64. "
            "Send the image itself: data:image/png;base64,…"
        ) from None


def _checked(text: Text) -> tuple[Text, int, bool]:
    """Base64 as it should be, how many characters of it are not padding, and whether it is that already. This is the one
    pass over all of it."""
    odd = b""
    chars = 0
    for chunk in _chunks(text):
        chars += len(chunk)
        odd += chunk.translate(None, _ALPHABET)
        if len(odd) > 2:
            break
    chars -= len(odd)
    if odd in (b"", b"=", b"==") and _last(text).endswith(odd.decode()):
        missing = _padding(chars)
        if len(odd) == missing:
            return text, chars, True
        if not odd:
            return [*text, "=" * missing], chars, False
    new = _put_right(text)
    return ["", new, "=" * _padding(len(new))], len(new), False


def _put_right(text: Text) -> bytearray:
    """Base64 without what does not belong there, and without its padding."""
    new = bytearray()
    for chunk in _unquoted(text):
        plain = chunk.translate(_URL_SAFE, _BLANK_BYTES)
        odd = plain.translate(None, _ALPHABET + b"=")
        if odd:
            raise BadImage(f"The image is no base64: there is {chr(odd[0])!a} in it.")
        new += plain
    end = new.find(b"=")
    if end >= 0:
        if len(new) - end != new.count(b"="):
            raise BadImage(
                "The image is no base64: there is '=' in the middle of it, where one text was put behind another."
            )
        del new[end:]
    return new


def _padding(chars: int) -> int:
    """How many `=` belong behind so many characters. Raises BadImage for a number of them that nothing is encoded in."""
    if not chars:
        raise BadImage("The image is empty: nothing stands where its base64 should.")
    if chars % 4 == 1:
        raise BadImage(f"The image is cut short: base64 of {chars} characters has one too many, or some were lost.")
    return -chars % 4


def _encoded(text: Text) -> Text:
    """Base64 of what is no base64 by its own word: percent-encoded bytes, if they begin as an image does."""
    head = unquote_to_bytes(_lead(text)[:CHUNK].encode("utf-8", "replace"))
    if images.is_svg(head):
        raise images.no_image(head)
    return ["", base64.b64encode(b"".join(_unquoted(text))), ""] if images.is_image(images.identify(head)) else text


def _decoded(payload: Text, most: int) -> bytes:
    """What the first characters say."""
    text = b""
    for chunk in _chunks(payload):
        text += chunk
        if len(text) >= most:
            break
    text = text[:most].rstrip(b"=")
    return binascii.a2b_base64(text + b"=" * (-len(text) % 4))


def _unquoted(text: Text) -> Iterator[bytes]:
    """The bytes without their percent-encoding, which may be cut anywhere. Raises BadImage when there is too much of it."""
    held = b""
    escapes = 0
    for chunk in _chunks(text):
        escapes += chunk.count(b"%")
        if escapes > MOST_ESCAPES:
            raise BadImage(f"The image has more than {MOST_ESCAPES:,} characters percent-encoded; send it in base64.")
        chunk = held + chunk
        begun = chunk.rfind(b"%", max(0, len(chunk) - 2))
        held = chunk[begun:] if begun >= 0 else b""
        yield unquote_to_bytes(chunk[:begun] if begun >= 0 else chunk)
    if held:
        yield unquote_to_bytes(held)


def _chunks(text: Text) -> Iterator[bytes]:
    """The text in small copies, without the escapes of what was never parsed."""
    for each in text:
        held = b""
        for at in range(0, len(each), CHUNK):
            piece = each[at : at + CHUNK]
            if isinstance(piece, str):
                yield piece.encode("ascii", "replace")
                continue
            chunk = held + bytes(piece)
            held = b"\\" if chunk.endswith(b"\\") else b""
            if b"\\" in chunk:
                chunk = chunk.removesuffix(held)
                for escape, plain in PLAIN_ESCAPES.items():
                    chunk = chunk.replace(escape, plain)
            yield chunk


def _lead(text: Text) -> str:
    lead = text[0]
    assert isinstance(lead, str)  # as it always is
    return lead


def _last(text: Text) -> str:
    last = text[-1]
    assert isinstance(last, str)  # likewise
    return last
