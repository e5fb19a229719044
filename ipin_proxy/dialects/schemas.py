"""Schemas of tools and answers, made fit for providers that refuse parts of JSON Schema.

Only those providers get another schema than the caller wrote; everybody else gets his own. A cleaned schema says less than
the original, never more: what it allows may be wider.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from ..records import Provider
from .tastes import GEMINI, GROQ, XAI

Json = dict[str, Any]

# Gemini knows a part of OpenAPI 3.0, and refuses whatever else it finds.
GEMINI_MEMBERS = (
    "title",
    "description",
    "nullable",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "pattern",
)
GEMINI_FORMATS = frozenset({"enum", "date-time"})
BOUNDS = (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum"))
MOST_ENUM = 250  # values; more than that xAI and Groq are known to refuse at some size
MOST_DEPTH = 32
MOST_NODES = 20_000  # a few references to each other would make a schema of any size


def cleaned_schema(schema: Json, provider: Provider) -> Json:
    """A schema as this provider takes it; the same object where it takes all."""
    host = urlsplit(provider.base_url).hostname or ""
    if GEMINI.fullmatch(host):
        return _ForGemini(schema).cleaned()
    return plain_schema(schema) if GROQ.fullmatch(host) or XAI.fullmatch(host) else schema


def plain_schema(schema: Json) -> Json:
    """A schema without what is refused in some schemas by those who make a grammar of them."""
    cleaned: Json = _without_patterns(schema, MOST_DEPTH)
    return cleaned


def cleaned_chat(chat: Json, provider: Provider) -> Json:
    """A chat with the schemas in it as this provider takes them."""
    return _with_schemas(chat, lambda schema: cleaned_schema(schema, provider))


def plain_chat(chat: Json) -> Json:
    """The same where a provider was found to take no others than plain ones."""
    return _with_schemas(chat, plain_schema)


def _with_schemas(chat: Json, clean: Callable[[Json], Json]) -> Json:
    tools, form = chat.get("tools"), chat.get("response_format")
    if tools:
        chat = {**chat, "tools": [_cleaned_in(tool, "function", "parameters", clean) for tool in tools]}
    if form:
        chat = {**chat, "response_format": _cleaned_in(form, "json_schema", "schema", clean)}
    return chat


def _cleaned_in(outer: Json, name: str, member: str, clean: Callable[[Json], Json]) -> Json:
    inner = outer.get(name)
    schema = inner.get(member) if type(inner) is dict else None
    if type(inner) is not dict or type(schema) is not dict:
        return outer
    cleaned = clean(schema)
    return outer if cleaned is schema else {**outer, name: {**inner, member: cleaned}}


def is_strict(schema: Any) -> bool:
    """Whether a schema is what OpenAI calls strict: every object says all its members, requires them, and takes no others."""
    budget = MOST_NODES
    if type(schema) is not dict or schema.get("type") != "object":
        return False
    todo: list[Any] = [schema]
    while todo:
        node = todo.pop()
        budget -= 1
        if budget < 0 or type(node) is not dict:
            return False
        properties = node.get("properties")
        if properties is not None or node.get("type") == "object":
            properties = {} if properties is None else properties
            required = node.get("required", [])
            if (
                type(properties) is not dict
                or type(required) is not list
                or node.get("additionalProperties") is not False
            ):
                return False
            if set(properties) != {each for each in required if type(each) is str}:
                return False
            todo += properties.values()
        if node.get("items") is not None:
            todo.append(node["items"])
        for name in ("anyOf", "$defs", "definitions"):
            inner = node.get(name)
            todo += inner.values() if type(inner) is dict else inner if type(inner) is list else []
        if any(name in node for name in ("oneOf", "allOf", "not", "if", "patternProperties", "propertyNames")):
            return False
    return True


def _without_patterns(schema: Any, depth: int) -> Any:
    """Some regular expressions are refused there, and long lists of values."""
    if depth == 0:
        return schema
    if type(schema) is list:
        return [_without_patterns(each, depth - 1) for each in schema]
    if type(schema) is not dict:
        return schema
    cleaned: Json = {}
    for name, value in schema.items():
        if name == "pattern" and type(value) is str:
            continue
        if name == "enum" and type(value) is list:
            if len(value) <= MOST_ENUM:
                cleaned[name] = value
        elif name in ("properties", "$defs", "definitions") and type(value) is dict:  # names of the caller's own
            cleaned[name] = {each: _without_patterns(inner, depth - 1) for each, inner in value.items()}
        elif name in ("const", "default", "examples"):
            cleaned[name] = value
        else:
            cleaned[name] = _without_patterns(value, depth - 1)
    return cleaned


class _ForGemini:
    """One schema on its way to Gemini: references are put in place, what is unknown there goes."""

    def __init__(self, schema: Json) -> None:
        self._schema = schema
        self._nodes = 0

    def cleaned(self) -> Json:
        return self._node(self._schema, MOST_DEPTH, ())

    def _node(self, node: Any, depth: int, within: tuple[str, ...]) -> Json:
        self._nodes += 1
        if type(node) is not dict or depth == 0 or self._nodes > MOST_NODES:
            return {}
        reference = node.get("$ref")
        if type(reference) is str:
            if reference in within:  # a schema in itself; what is deeper may be anything
                return {"type": "object"}
            told = {name: value for name, value in node.items() if name != "$ref"}
            found = self._referred(reference)
            return self._node({**(found if type(found) is dict else {}), **told}, depth - 1, (*within, reference))
        node = self._merged(node, within)
        cleaned = {name: node[name] for name in GEMINI_MEMBERS if node.get(name) is not None}
        for theirs, ours in BOUNDS:
            bound = node.get(theirs)
            if type(bound) in (int, float) and ours not in cleaned:
                cleaned[ours] = bound
        form = node.get("format")
        if type(form) is str and form in GEMINI_FORMATS:
            cleaned["format"] = form
        self._type(node, cleaned)
        self._values(node, cleaned)
        self._members(node, cleaned, depth, within)
        return cleaned

    def _referred(self, reference: str) -> Any:
        found: Any = self._schema
        for step in reference.removeprefix("#").split("/"):
            step = step.replace("~1", "/").replace("~0", "~")
            if step:
                found = found.get(step) if type(found) is dict else None
        return found

    def _type(self, node: Json, cleaned: Json) -> None:
        """One type; what may also be null says so in another way."""
        told = node.get("type")
        if type(told) is list:
            types = [each for each in told if type(each) is str and each != "null"]
            if "null" in told:
                cleaned["nullable"] = True
            told = types[0] if types else None
        if type(told) is str:
            cleaned["type"] = told

    def _values(self, node: Json, cleaned: Json) -> None:
        values = node.get("enum", [node["const"]] if "const" in node else None)
        if type(values) is list and (texts := [each for each in values if type(each) is str]):
            if None in values:
                cleaned["nullable"] = True
            if cleaned.setdefault("type", "string") == "string":  # lists of numbers are refused
                cleaned["enum"] = texts

    def _members(self, node: Json, cleaned: Json, depth: int, within: tuple[str, ...]) -> None:
        properties = node.get("properties")
        if type(properties) is dict and properties:
            cleaned["properties"] = {name: self._node(each, depth - 1, within) for name, each in properties.items()}
            required = node.get("required")
            if type(required) is list and (
                known := [each for each in required if type(each) is str and each in properties]
            ):
                cleaned["required"] = known
        items = node.get("items")
        if type(items) is dict:
            cleaned["items"] = self._node(items, depth - 1, within)
        elif cleaned.get("type") == "array":
            cleaned["items"] = {}
        choices = node.get("anyOf", node.get("oneOf"))
        if type(choices) is list:
            kinds = [each for each in choices if not (type(each) is dict and each.get("type") == "null")]
            if len(kinds) < len(choices):
                cleaned["nullable"] = True
            found = [self._node(each, depth - 1, within) for each in kinds]
            if len(found) == 1:
                cleaned |= {name: value for name, value in found[0].items() if name not in cleaned}
            elif found:
                cleaned["anyOf"] = found

    def _merged(self, node: Json, within: tuple[str, ...]) -> Json:
        """A schema with what all of `allOf` say in it, as far as one level goes."""
        parts = node.get("allOf")
        if type(parts) is not list:
            return node
        merged: Json = {}
        for part in [*parts, node]:
            reference = part.get("$ref") if type(part) is dict else None
            if type(reference) is str and part is not node and reference not in within:
                part = self._referred(reference)
            if type(part) is not dict:
                continue
            both = merged.get("properties"), part.get("properties")
            lists = merged.get("required"), part.get("required")
            merged |= part
            if type(both[0]) is dict and type(both[1]) is dict:
                merged["properties"] = {**both[0], **both[1]}
            if type(lists[0]) is list and type(lists[1]) is list:
                merged["required"] = [*lists[0], *lists[1]]
        return {name: value for name, value in merged.items() if name not in ("allOf", "$ref")}
