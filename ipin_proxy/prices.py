"""What a call costs: its usage by its model's price, exact to the nano-dollar, line by line.

What the provider says it charges goes before what an administrator entered, and that before nothing: what is not known
stays unknown and never becomes 0. A price means its decimal text, so 0.1 is a tenth and not the float beside it; sums are
whole numbers, rounded once for each call, half to even. What a call may use before it is made, or has used when nobody told,
is guessed from what was asked, and says that it is a guess. Values in, values out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from .call import (
    COMPLETION,
    EMBEDDING,
    HEARING,
    IMAGE,
    IMAGE_EDIT,
    IMAGE_PART,
    MODERATION,
    RERANK,
    SPEECH,
    Call,
    Document,
    Picture,
    Usage,
)
from .meter import measured
from .records import Price, PriceTier, TokenPrices, columns_of

REPORTED, PRICED, ESTIMATED, UNKNOWN = "reported", "priced", "estimated", "unknown"
MOST_COST = 10**15  # nano-dollars: a million US dollars. No call costs more; what says so is a mistake somewhere
MOST_TARIFFS = 1024


class Line(NamedTuple):
    """A part of a call's cost. `kind` is the member of the price it comes from, or "reported"; `price` is US dollars as a
    decimal text, for a million tokens, or for one of what is not counted in tokens."""

    kind: str
    quantity: int | float
    price: str
    nano: int


class Cost(NamedTuple):
    """What a call costs in nano-dollars, None where nobody knows, and how it is known."""

    nano: int | None
    basis: str


class Number(NamedTuple):
    """digits × 10^exponent."""

    digits: int
    exponent: int

    def times(self, digits: int, exponent: int) -> Number:
        return Number(self.digits * digits, self.exponent + exponent)

    def __str__(self) -> str:
        """Without an exponent: 0.075."""
        if self.exponent >= 0:
            return str(self.digits * 10**self.exponent)
        text = str(self.digits).rjust(1 - self.exponent, "0")
        return f"{text[: self.exponent]}.{text[self.exponent :]}".rstrip("0").rstrip(".")


class Rate(NamedTuple):
    """What one of a kind costs: `nano` is nano-dollars times the scale of its tariff, `text` the price as people read it."""

    nano: int
    text: str


Part = tuple[str, int | float, Rate]
"""A kind of what is paid for, how much of it there is, and at which rate."""


class Tariff(NamedTuple):
    """A price as it is reckoned with: whole numbers, and what is missing filled in. `is_by_call`: it has no price but one
    for the call itself."""

    scale: int
    rates: Mapping[str, Rate]
    is_by_call: bool


NOT_KNOWN = Cost(None, UNKNOWN)
NOTHING = Usage()
TOKENS = 3  # nano-dollars for one are 10^3 of the dollars for a million
ONES = 9  # and 10^9 of the dollars for one
# What tokens are guessed to be, where nobody counts them.
CHARACTERS_A_TOKEN = 4
PIXELS_A_TOKEN, LEAST_OF_A_PICTURE, MOST_OF_A_PICTURE = 750, 85, 1_600
OF_A_PICTURE = 1_000  # whose size is not known
OF_A_VIDEO = 10_000
OF_A_DRAWING = 4_000
BYTES_A_SECOND = 8_000  # of a recording that does not tell how long it lasts
BYTES_A_PAGE = 100_000  # of a PDF, which is mostly one of scans where its text is wanted
HEARD_A_SECOND, WRITTEN_A_SECOND = 10, 4  # of a recording: going in, and coming out as text
SPOKEN_A_CHARACTER = 1.4  # fifteen characters are said in a second, which is about twenty tokens of sound
OF_AN_ANSWER = 2_000  # when the caller sets no bound
MOST_OF_AN_ANSWER = 1_000_000  # no model writes more, whatever the bound
MOST_ANSWERS = 128
MOST_DIGITS = 20  # of a number that is written as a text
MOST_PROMPTS = 2_048  # of one completion, as of one list to be embedded
DOCUMENTS_A_SEARCH = 100
BOUNDS = ("max_completion_tokens", "max_output_tokens", "max_tokens")
WITHOUT_ANSWER = (EMBEDDING, RERANK, MODERATION)
# One of these is in every body with a file in it. Of vectors the first says nothing: most are wanted so.
BASE64, DATA_URL, RECORDING = b"base64", b";base64,", b"input_audio"
UNITS = ("perSecond", "perImage", "perPage", "perCharacter", "perRequest")


def price_of(usage: Usage | None, price: Price | None) -> Cost:
    """What a call costs that used this, at a model of this price."""
    if usage is not None and usage.cost is not None:
        return Cost(usage.cost, REPORTED)
    if price is None:
        return NOT_KNOWN
    used = usage if usage is not None else NOTHING
    tariff = tariff_of(price, used.input_tokens)
    parts = parts_of(used, tariff)
    if parts is None:
        return NOT_KNOWN
    amounts, scale = amounts_of(parts, tariff.scale)
    total = rounded(sum(amounts), scale)
    return Cost(total, ESTIMATED if used.estimated else PRICED) if total <= MOST_COST else NOT_KNOWN


def lines_of(usage: Usage, price: Price | None) -> list[Line]:
    """The cost of a call line by line, which add up to what `price_of` says; none where nobody knows it."""
    cost = price_of(usage, price)
    if cost.nano is None:
        return []
    if price is None or cost.basis == REPORTED:
        return [Line(REPORTED, 1, str(Number(cost.nano, -9)), cost.nano)]
    tariff = tariff_of(price, usage.input_tokens)
    parts = parts_of(usage, tariff) or []
    amounts, scale = amounts_of(parts, tariff.scale)
    shares = [each // scale for each in amounts]
    lacking = cost.nano - sum(shares)
    if lacking:  # it goes to those that lost most by being cut
        for place in sorted(range(len(amounts)), key=lambda place: -(amounts[place] % scale))[:lacking]:
            shares[place] += 1
    return [Line(kind, count, rate.text, nano) for (kind, count, rate), nano in zip(parts, shares, strict=True)]


def parts_of(used: Usage, tariff: Tariff) -> list[Part] | None:
    """What of a call has a price; None where that is not all of it. Tokens without a price are a gap, unless the call is paid
    for by something else that was counted; and a fee for the call is not all of it where there are other prices."""
    rates = tariff.rates
    tokens, units = tokens_of(used, rates), units_of(used, rates)
    parts = [(kind, count, rates[kind]) for kind, count in (*tokens, *units) if kind in rates]
    if tariff.is_by_call or any(kind != "perRequest" for kind, _ in units):
        return parts
    has_gap = len(parts) < len(tokens) + len(units)
    return None if has_gap or all(kind == "perRequest" for kind, _, _ in parts) else parts


def tokens_of(usage: Usage, rates: Mapping[str, Rate]) -> list[tuple[str, int]]:
    """The tokens by what they cost; each is in one of the kinds. Audio, images and reasoning are kinds of their own only
    where they have a price of their own, and audio out of a cache is cached input."""
    cached = min(usage.cached_tokens, usage.input_tokens)
    written = min(usage.cache_write_tokens, usage.input_tokens - cached)
    text = usage.input_tokens - cached - written
    text, entered = apart(
        text, (("audioInput", usage.audio_input_tokens), ("imageInput", usage.image_input_tokens)), rates
    )
    found = [("input", text), *entered]
    if cached:
        found.append(("cachedInput", cached))
    if written:
        for_an_hour = min(usage.cache_write_1h_tokens, written)
        found += [("cacheWrite", written - for_an_hour), ("cacheWrite1h", for_an_hour)]
    text, made = apart(
        usage.output_tokens,
        (
            ("reasoning", usage.reasoning_tokens),
            ("audioOutput", usage.audio_output_tokens),
            ("imageOutput", usage.image_output_tokens),
        ),
        rates,
    )
    found += [("output", text), *made]
    return [each for each in found if each[1]]


def apart(text: int, kinds: Iterable[tuple[str, int]], rates: Mapping[str, Rate]) -> tuple[int, list[tuple[str, int]]]:
    """What is left of tokens when those are taken out that have a price of their own, and these."""
    own = []
    for kind, count in kinds:
        if count and kind in rates:
            taken = min(count, text)
            text -= taken
            own.append((kind, taken))
    return text, own


def units_of(usage: Usage, rates: Mapping[str, Rate]) -> list[tuple[str, int | float]]:
    """What is paid for one by one, where it has a price. Rerankers tell how many searches one call was."""
    if rates.keys().isdisjoint(UNITS):
        return []
    counts = (usage.seconds, usage.images, usage.pages, usage.characters, max(1, usage.search_units))
    return [(kind, count) for kind, count in zip(UNITS, counts, strict=True) if count and kind in rates]


def amounts_of(parts: list[Part], scale: int) -> tuple[list[int], int]:
    """Counts times rates as whole numbers, which are nano-dollars times a scale."""
    fractions = [-exact(count).exponent for _, count, _ in parts if isinstance(count, float)]
    if not fractions:
        return [count * rate.nano for _, count, rate in parts], scale  # type: ignore[misc]  # all are whole
    places = max(0, *fractions)
    return [whole(count, places) * rate.nano for _, count, rate in parts], scale * 10**places


def rounded(amount: int, scale: int) -> int:
    """A scaled amount in nano-dollars, half to even."""
    total, rest = divmod(amount, scale)
    return total + 1 if 2 * rest > scale or (2 * rest == scale and total % 2) else total


def whole(count: int | float, places: int) -> int:
    """A count times 10^places, which has no fraction then."""
    if isinstance(count, int):
        return int(count * 10**places)
    number = exact(count)
    return int(number.digits * 10 ** (number.exponent + places))


def tariff_of(price: Price, input_tokens: int) -> Tariff:
    """The tariff for a call of this length. It is worked out once: records do not change."""
    tier = tier_of(price, input_tokens) if price.long_context else None
    key = (id(price), id(tier))
    known = _TARIFFS.get(key)
    if known is None:
        if len(_TARIFFS) >= MOST_TARIFFS:
            _TARIFFS.clear()
        known = _TARIFFS[key] = (price, make_tariff(price, tier))  # with the price, so that its id stays its own
    return known[1]


_TARIFFS: dict[tuple[int, int], tuple[Price, Tariff]] = {}


def tier_of(price: Price, input_tokens: int) -> PriceTier | None:
    """The tier a call of this length is in, if it is in one; that goes for all its tokens."""
    reached = [tier for tier in price.long_context if tier.above_tokens < input_tokens]
    return max(reached, key=lambda tier: tier.above_tokens, default=None)


def make_tariff(price: Price, tier: PriceTier | None) -> Tariff:
    """A price in a tier as a tariff. What a tier does not say costs what it costs below; reading from a cache without a price
    of its own is input, and writing to one costs what providers charge that say nothing else: 1.25 times the input for
    five minutes, twice for an hour."""
    told = {one.member: getattr(price, one.attribute) for one in columns_of(Price) if one.member != "longContext"}
    if tier is not None:
        own = {one.member: getattr(tier, one.attribute) for one in columns_of(TokenPrices)}
        told |= {member: value for member, value in own.items() if value is not None}
    dollars = {member: exact(value) for member, value in told.items() if value is not None}
    if "input" in dollars:
        entered = dollars["input"]
        assumed = {"cachedInput": entered, "cacheWrite": entered.times(125, -2), "cacheWrite1h": entered.times(2, 0)}
        dollars = {**assumed, **dollars}
    nano = {member: each.times(1, ONES if member in UNITS else TOKENS) for member, each in dollars.items()}
    places = max([0, *(-each.exponent for each in nano.values())])
    rates = {
        member: Rate(int(each.digits * 10 ** (each.exponent + places)), str(dollars[member]))
        for member, each in nano.items()
    }
    return Tariff(10**places, rates, rates.keys() == {"perRequest"})


@lru_cache(maxsize=4096)
def exact(number: float) -> Number:
    """A number as it is written: what JSON calls 0.1 is the float that Python writes as 0.1."""
    mantissa, _, exponent = repr(number).partition("e")
    before, _, after = mantissa.partition(".")
    after = after.rstrip("0")
    return Number(int(before + after), int(exponent or 0) - len(after))


# -- what a call may use ----------------------------------------------------------------------------------------------


def estimate(call: Call, output_tokens: int | None = None) -> Usage:
    """What a call may use, before it is made: its text at four characters a token, so much for each picture, and as many
    tokens of output as it may have. With `output_tokens`, what a call has used whose provider told nothing: so many came.
    It takes microseconds; only where something in a body looks like a file its parts are looked at."""
    known, operation = measured(call), call.operation
    text, heard, drawn_from = tokens_of_body(call)
    entered = text + heard + drawn_from + sum(map(tokens_of_picture, call.pictures))
    pages = known.pages
    if call.document is not None:
        pages = pages or pages_in(call.document)
        entered += OF_A_PICTURE * pages
    guess = known._replace(pages=pages, audio_input_tokens=heard, image_input_tokens=drawn_from, estimated=True)
    if operation in HEARING:
        seconds = known.seconds or float(-(-bytes_of_files(call) // BYTES_A_SECOND))
        heard = round(seconds * HEARD_A_SECOND)
        written = round(seconds * WRITTEN_A_SECOND) if output_tokens is None else output_tokens
        guess = guess._replace(seconds=seconds, audio_input_tokens=heard)
        return guess._replace(input_tokens=entered + heard, output_tokens=written)
    if operation is SPEECH:
        spoken = round(known.characters * SPOKEN_A_CHARACTER) if output_tokens is None else output_tokens
        return guess._replace(input_tokens=entered, output_tokens=spoken, audio_output_tokens=spoken)
    if operation in (IMAGE, IMAGE_EDIT):
        images = answers_asked_for(call)
        drawn = images * OF_A_DRAWING if output_tokens is None else output_tokens
        return guess._replace(input_tokens=entered, output_tokens=drawn, image_output_tokens=drawn, images=images)
    if operation is RERANK:
        documents = call.member("documents")
        searches = -(-len(documents) // DOCUMENTS_A_SEARCH) if isinstance(documents, list) else 1
        guess = guess._replace(search_units=max(1, searches))
    if output_tokens is None:
        output_tokens = 0 if operation in WITHOUT_ANSWER else bound_of(call) * answers_asked_for(call)
    return guess._replace(input_tokens=entered, output_tokens=output_tokens)


def text_tokens(call: Call) -> int:
    """About how many tokens the text of a call is, and that of the documents in it, without other files. Markup counts as
    text."""
    return tokens_of_body(call)[0]


def tokens_of_body(call: Call) -> tuple[int, int, int]:
    """The same, and about how many tokens the recordings in it are, and the pictures that are drawn from or sent as files;
    those in parts of their own are told apart (`call.pictures`)."""
    if call.members is None:
        files = call.form.files if call.form is not None and call.operation is IMAGE_EDIT else ()
        return len(call.field("prompt") or "") // CHARACTERS_A_TOKEN, 0, len(files) * OF_A_PICTURE
    body, mark = call.request.body, DATA_URL if call.operation is EMBEDDING else BASE64
    size, pages, seconds, pictures = len(body) + call.added_chars, 0, 0, 0
    if call.members.hollow or mark in body or RECORDING in body:
        from .enclosed import enclosed  # where something looks like a file

        found = enclosed(call.members, call.operation)
        size -= found.chars
        pages = -(-found.document_chars * 3 // 4 // BYTES_A_PAGE)
        seconds = -(-found.recording_chars * 3 // 4 // BYTES_A_SECOND)
        pictures = found.others
    text = max(0, size) // CHARACTERS_A_TOKEN + pages * OF_A_PICTURE
    return text, seconds * HEARD_A_SECOND, pictures * OF_A_PICTURE


def bytes_of_files(call: Call) -> int:
    return sum(file.size for file in call.form.files) if call.form is not None else 0


def pages_in(document: Document) -> int:
    """Of a PDF, by its length, or of what is at an address."""
    from .web.multipart import FilePart  # is here already where there is a document

    payload = document.payload
    size = payload.size if isinstance(payload, FilePart) else sum(map(len, payload)) * 3 // 4
    return -(-size // BYTES_A_PAGE) or 1


def tokens_of_picture(picture: Picture) -> int:
    if picture.kind != IMAGE_PART:
        return OF_A_VIDEO
    if picture.size is None:
        return OF_A_PICTURE
    width, height = picture.size
    return min(max(width * height // PIXELS_A_TOKEN, LEAST_OF_A_PICTURE), MOST_OF_A_PICTURE)


def bound_of(call: Call) -> int:
    """How many tokens an answer may have. Of several bounds the widest: not every provider knows them all."""
    return max(sane(call.member(name), MOST_OF_AN_ANSWER) for name in BOUNDS) or OF_AN_ANSWER


def answers_asked_for(call: Call) -> int:
    """How many answers, or pictures: `n`, and as many for each of the prompts of a completion, which may be a list."""
    told: Any = call.member("n")
    if call.operation is COMPLETION:
        each = max(sane(told, MOST_ANSWERS), sane(call.member("best_of"), MOST_ANSWERS), 1)
        return each * min(call.prompts, MOST_PROMPTS)
    if call.form is not None and call.operation is IMAGE_EDIT:
        return max((sane(each, MOST_ANSWERS) for each in call.form.all("n")), default=0) or 1
    return sane(told, MOST_ANSWERS) or 1


def sane(value: Any, most: int) -> int:
    """A whole number above 0, or the most there can be; 0 for what is none. Many servers take "2" and 2.0 for one, too."""
    if type(value) is str and len(value) <= MOST_DIGITS:
        with contextlib.suppress(ValueError):
            value = float(value)
    if type(value) is float and value.is_integer():
        value = int(value)
    return min(value, most) if type(value) is int and value > 0 else 0
