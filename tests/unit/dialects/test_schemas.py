"""Schemas made fit for those who refuse parts of them; nobody else's are touched."""

from __future__ import annotations

from typing import Any

import pytest

from ipin_proxy.dialects.schemas import cleaned_schema, is_strict
from ipin_proxy.records import Provider

Json = dict[str, Any]
GEMINI = "https://generativelanguage.googleapis.com/v1beta/openai"


def cleaned(schema: Json, base_url: str = GEMINI) -> Json:
    return cleaned_schema(schema, Provider.from_json({"id": "acme", "baseUrl": base_url}))


def of(**properties: Json) -> Json:
    return {"type": "object", "properties": properties}


def test_others_get_what_the_caller_wrote():
    schema = of(a={"type": "string", "pattern": "^x$", "const": "x"})
    assert cleaned(schema, "https://api.openai.com/v1") is schema


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ({"type": "string", "format": "uri", "pattern": "^h"}, {"type": "string", "pattern": "^h"}),
        ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
        ({"type": ["string", "null"], "default": None}, {"nullable": True, "type": "string"}),
        ({"const": "on"}, {"type": "string", "enum": ["on"]}),
        ({"type": "integer", "enum": [1, 2]}, {"type": "integer"}),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 9}, {"maximum": 9, "minimum": 0, "type": "number"}),
        ({"type": "array"}, {"type": "array", "items": {}}),
        ({"type": "object", "propertyNames": {"type": "string"}, "additionalProperties": {}}, {"type": "object"}),
        (
            {"oneOf": [{"type": "string"}, {"type": "integer", "default": 1}]},
            {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        ),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"nullable": True, "type": "string"}),
        (
            {"allOf": [of(a={"type": "string"}), {"required": ["a"]}]},
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        ),
    ],
)
def test_what_gemini_takes_of_a_schema(told: Json, kept: Json):
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "additionalProperties": False, **of(x=told)}
    assert cleaned(schema) == of(x=kept)


def test_references_are_put_in_place():
    schema = {**of(a={"$ref": "#/$defs/City", "description": "Where."}), "$defs": {"City": of(name={"type": "string"})}}
    assert cleaned(schema) == of(a={"description": "Where.", **of(name={"type": "string"})})


def test_a_schema_within_itself_ends():
    node = of(next={"$ref": "#/$defs/Node"})
    assert cleaned({"$ref": "#/$defs/Node", "$defs": {"Node": node}}) == of(next={"type": "object"})


def test_references_to_references_do_not_grow_without_end():
    definitions = {f"n{at}": of(**{f"p{n}": {"$ref": f"#/$defs/n{at + 1}"} for n in range(10)}) for at in range(20)}
    assert cleaned({"$ref": "#/$defs/n0", "$defs": definitions})["type"] == "object"


def test_members_may_be_called_as_the_words_of_schemas_are():
    schema = {
        **of(pattern={"type": "string", "pattern": "x"}, default={"type": "string"}),
        "required": ["default", "gone"],
    }
    kept = of(pattern={"type": "string", "pattern": "x"}, default={"type": "string"})
    assert cleaned(schema) == {**kept, "required": ["default"]}
    assert cleaned(schema, "https://api.groq.com/openai/v1")["properties"]["pattern"] == {"type": "string"}


def test_long_lists_of_values_are_left_out_where_they_are_refused():
    schema = of(a={"type": "string", "enum": [str(n) for n in range(1000)]}, b={"enum": ["x"]})
    assert cleaned(schema, "https://api.x.ai/v1") == of(a={"type": "string"}, b={"enum": ["x"]})


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        ({**of(), "additionalProperties": False}, True),
        ({**of(a={"type": "string"}), "required": ["a"], "additionalProperties": False}, True),
        ({**of(a={"type": "string"}), "additionalProperties": False}, False),
        ({**of(a={"type": "string"}), "required": ["a"]}, False),
        ({**of(a=of(b={})), "required": ["a"], "additionalProperties": False}, False),
        ({"type": "array", "items": {"type": "string"}}, False),
        ({**of(a={"oneOf": []}), "required": ["a"], "additionalProperties": False}, False),
    ],
)
def test_a_schema_is_strict_when_every_object_says_all_it_has(schema: Json, strict: bool):
    assert is_strict(schema) is strict
