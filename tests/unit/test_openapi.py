"""The description of the API says what the table of routes says: every route, nothing else."""

from __future__ import annotations

import json
import re

from ipin_proxy.openapi import ABOUT, document
from ipin_proxy.routes import ROUTES

DOCUMENT = document(ROUTES)


def test_every_route_is_described_and_nothing_else() -> None:
    described = {
        f"{method.upper()} {path}": operation["x-access"]
        for path, operations in DOCUMENT["paths"].items()
        for method, operation in operations.items()
    }
    routes = {f"{route.method} {route.pattern.replace('...}', '}')}": route.access for route in ROUTES}
    assert described == routes
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
        reference = each["responses"]["default"]["content"]["application/json"]["schema"]["$ref"]
        assert reference.removeprefix("#/components/schemas/") in DOCUMENT["components"]["schemas"]
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT


def test_bodies_are_shown_by_example() -> None:
    chat = DOCUMENT["paths"]["/v1/chat/completions"]["post"]["requestBody"]["content"]["application/json"]
    assert set(chat["example"]) == {"model", "messages"}
    assert chat["schema"]["properties"]["messages"] == {"type": "array"}
    edit = DOCUMENT["paths"]["/v1/images/edits"]["post"]["requestBody"]["content"]["multipart/form-data"]
    assert edit["schema"]["properties"]["image"] == {"type": "string", "format": "binary"}
