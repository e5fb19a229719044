"""JSON bodies of requests, and answers that no cache may keep."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from .errors import BadRequest, UnsupportedMediaType
from .web import members
from .web.request import Request
from .web.response import JSON_HEADERS, Response

FORM_TYPE = "application/x-www-form-urlencoded"
# Callers forget the header, and curl sends the last one by itself; the body is JSON all the same.
JSON_TYPES = frozenset({"", "application/json", "text/json", "text/plain", FORM_TYPE})
JSON_SUFFIX = re.compile(r"application/[!#$&^_.a-z0-9-]+\+json")  # RFC 6839: JSON whose members mean something special
# 50 MB of `{},{},…` would be a gigabyte of dicts. Counted by what may also be a comma in a text, so it is generous.
MAX_VALUES = 1_000_000
PRIVATE = {"cache-control": "no-store"}
ROWS_DEPTH = 2  # lists of records are members of the answer, or of a member
YES = ("1", "true", "yes", "on")
NO = ("0", "false", "no", "off")


def json_members(request: Request) -> members.Members:
    """A request's body, parsed. Raises UnsupportedMediaType, and BadRequest (`invalid_json`)."""
    # curl calls everything after -d a form; it can only be JSON if it begins like it.
    media_type = request.headers.media_type
    is_form = media_type == FORM_TYPE and not request.body.lstrip().startswith(b"{")
    if is_form or not (media_type in JSON_TYPES or JSON_SUFFIX.fullmatch(media_type)):
        raise UnsupportedMediaType(
            f"The body is '{media_type}'; this route takes a JSON object (content-type: application/json)."
        )
    body = request.body
    if len(body) > members.HOLLOW_FROM and sum(map(body.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise BadRequest(f"The JSON body holds more than {MAX_VALUES:,} values.", code="invalid_json")
    try:
        return members.parse(body)
    except members.BodyError as error:
        raise BadRequest(error.message, code="invalid_json", param=error.member) from error


def json_object(request: Request) -> dict[str, Any]:
    """The members of a request's body as a dict of our own. Raises as `json_members`."""
    try:
        return dict(json_members(request).full())
    except members.BodyError as error:
        raise BadRequest(error.message, code="invalid_json") from error


def model_name(value: Any) -> str:
    """The name of a model, as a body or a form has it. Raises BadRequest (`missing_model`)."""
    if value is None or value == "":
        raise BadRequest(
            "The body has no 'model'. Name one; GET /v1/models lists them.", code="missing_model", param="model"
        )
    if not isinstance(value, str):
        raise BadRequest("'model' must be the name of a model, a text.", code="missing_model", param="model")
    return value


def asks_for(request: Request, name: str) -> bool:
    """Whether the query has `name=1`, or another way to say yes. Raises BadRequest for what is neither yes nor no: it would be
    taken for a no, and what was to be a dry run would be the real one."""
    given = request.query.get(name, "0").strip()
    if given.lower() in YES:
        return True
    if given.lower() not in NO:
        raise BadRequest(f"'{name}' must be 1 or 0, not {given!r:.40}.", param=name)
    return False


def private_json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer for this caller's eyes alone."""
    return Response(status, {**JSON_HEADERS, **PRIVATE, **(headers or {})}, in_rows(value).encode())


def in_rows(value: Any, depth: int = ROWS_DEPTH) -> str:
    """A value as `json.dumps` writes it, one row of its lists after the other: for as long as one call of that takes no other
    thread goes on, and with it no call, which is a second for ten thousands of records."""
    if depth and isinstance(value, dict):
        return f"{{{', '.join([f'{json.dumps(str(name))}: {in_rows(inner, depth - 1)}' for name, inner in value.items()])}}}"
    if depth and isinstance(value, list):
        return f"[{', '.join([json.dumps(row) for row in value])}]"
    return json.dumps(value)
