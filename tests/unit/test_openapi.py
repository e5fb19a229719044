"""The description of the API says what the table of routes says: every route, nothing else."""

from __future__ import annotations

import json
import re

from ipin_proxy.openapi import ABOUT, document
from ipin_proxy.routes import ROUTES

DOCUMENT = document(ROUTES)
TWOFOLD = {
    "/v1/ocr": {"multipart/form-data", "application/json"},
    "/token": {"application/json", "application/x-www-form-urlencoded"},
}


def test_every_route_is_described_and_nothing_else() -> None:
    described = {
        f"{method.upper()} {path}": operation["x-access"]
        for path, operations in DOCUMENT["paths"].items()
        for method, operation in operations.items()
    }
    routes = {f"{route.method} {route.pattern.replace('...}', '}')}": route.access for route in ROUTES}
    assert described == {**routes, "GET /metrics": "admin"}  # which is public to the router, and asks who comes itself
    assert set(ABOUT) == set(routes)


def test_the_document_is_sound() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    operations = [(path, each) for path, found in DOCUMENT["paths"].items() for each in found.values()]
    ids = [each["operationId"] for _, each in operations]
    assert len(set(ids)) == len(ids)
    for path, each in operations:
        assert each["summary"] and len(each["tags"]) == 1
        named = {one["name"] for one in each["parameters"] if one["in"] == "path"}
        assert named == set(re.findall(r"\{(\w+)\}", path))
        for choice in each["security"]:
            assert set(choice) <= set(DOCUMENT["components"]["securitySchemes"])
        assert bool(each["security"]) == (each["x-access"] != "public")
        schema = each["responses"]["default"]["content"]["application/json"]["schema"]
        for one in schema.get("anyOf", [schema]):
            assert one["$ref"].removeprefix("#/components/schemas/") in DOCUMENT["components"]["schemas"]
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT


def test_what_can_only_fail_or_lead_elsewhere_is_not_said_to_work() -> None:
    paths = DOCUMENT["paths"]
    assert set(paths["/v1/responses"]["get"]["responses"]) == {"default"}
    assert set(paths["/ui/tracking"]["get"]["responses"]) == {"302", "default"}


def test_bodies_that_come_in_two_ways_are_shown_in_both() -> None:
    bodies = {
        path: each["post"]["requestBody"]["content"] for path, each in DOCUMENT["paths"].items() if path in TWOFOLD
    }
    assert {path: set(content) for path, content in bodies.items()} == TWOFOLD


def test_bodies_are_shown_by_example() -> None:
    chat = DOCUMENT["paths"]["/v1/chat/completions"]["post"]["requestBody"]["content"]["application/json"]
    assert set(chat["example"]) == {"model", "messages"}
    assert chat["schema"]["properties"]["messages"] == {"type": "array"}
    edit = DOCUMENT["paths"]["/v1/images/edits"]["post"]["requestBody"]["content"]["multipart/form-data"]
    assert edit["schema"]["properties"]["image"] == {"type": "string", "format": "binary"}
