"""The API described for machines and for the page that shows it: OpenAPI 3.1, made of the table of routes.

What the table cannot say stands here in `ABOUT`: a sentence for each route, and an example of its body where it takes one.
A route without its line, or a line without its route, fails a test.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from . import __version__
from .app import ADMIN, KEY, PUBLIC, USER
from .dialects import ANY, MESSAGES, OPENAI
from .web.router import Route

Json = dict[str, Any]

CHAT, INPUTS, MEDIA, MODELS = "Chat and text", "Embeddings and ranking", "Images and audio", "Models"
SERVER, USAGE, PEOPLE, PROVIDERS, RECORDS, REPORTS, UPKEEP, PAGES = (
    "Server",
    "Usage",
    "People",
    "Administration: providers",
    "Administration: models, keys, users",
    "Administration: usage and changes",
    "Administration: settings and data",
    "Pages",
)
FILE = "a file"  # in the example of an upload
TALK = [{"role": "user", "content": "Hello!"}]
SECURITY: dict[str, list[Json]] = {
    PUBLIC: [],
    KEY: [{"key": []}, {"keyHeader": []}, {"session": []}],
    USER: [{"token": []}, {"session": []}],
    ADMIN: [{"token": []}, {"session": []}],
}
WATCHERS: list[Json] = [{"key": []}, {"keyHeader": []}, {"token": []}, {"session": []}, {"keyAsPassword": []}]
SCHEMES: Json = {
    "key": {"type": "http", "scheme": "bearer", "description": "An API key that an administrator made."},
    "keyHeader": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "The same in another header."},
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "The token that signing in answers; what is for administrators takes the master key, too.",
    },
    "session": {"type": "apiKey", "in": "cookie", "name": "ipin_session", "description": "Set by signing in."},
    "keyAsPassword": {"type": "http", "scheme": "basic", "description": "A key as the password, with any user name."},
}
# By the dialect of a route: one that answers in its caller's has either.
ERRORS = {OPENAI: ("Error",), MESSAGES: ("MessagesError",), ANY: ("Error", "MessagesError")}
ERROR: Json = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
MESSAGES_ERROR: Json = {
    "type": "object",
    "required": ["type", "error", "request_id"],
    "properties": {
        "type": {"const": "error"},
        "error": {
            "type": "object",
            "required": ["type", "message"],
            "properties": {"type": {"type": "string"}, "message": {"type": "string"}},
        },
        "request_id": {"type": "string"},
    },
}


class About(NamedTuple):
    """What a route is for; `body` is an example of what it takes, `query` names what may be switched on behind the path, and
    `asks` what may be said there; `answers` says what comes back when it is no JSON, `also` how else a body may come.
    `access` and `security` are of a route that looks itself who comes."""

    tag: str
    summary: str
    body: Json | None = None
    query: tuple[str, ...] = ()
    answers: str = "application/json"
    asks: tuple[str, ...] = ()
    also: str = ""
    status: str = "2XX"  # of what it answers
    access: str = ""
    security: list[Json] | None = None


def record(noun: str, plural: str, path: str, example: Json, several: str = "") -> dict[str, About]:
    """The five routes every kind of record has."""
    tag = PROVIDERS if noun == "provider" else RECORDS
    one = f"an {noun}" if noun == "alias" else f"a {noun}"
    return {
        f"GET {path}": About(tag, f"List the {plural}"),
        f"POST {path}": About(tag, f"Add {one}{several}", example),
        f"GET {path}/{{id}}": About(tag, f"Read one {noun}"),
        f"PUT {path}/{{id}}": About(tag, f"Change members of {one}; secrets left out stay", example),
        f"DELETE {path}/{{id}}": About(tag, f"Delete {one}"),
    }


PROVIDER = {"id": "home", "name": "At home", "baseUrl": "http://localhost:8000/v1", "apiKey": "…"}
SIGN_IN = {"username": "admin", "password": "…"}
DOCUMENT = {"version": 1, "providers": [PROVIDER], "models": [], "apiKeys": [], "users": []}
BULK = {"ids": ["first", "second"], "action": "disable"}
ABOUT: dict[str, About] = {
    "POST /v1/chat/completions": About(CHAT, "Answer a conversation", {"model": "demo", "messages": TALK}),
    "POST /v1/completions": About(CHAT, "Continue a text", {"model": "my-model", "prompt": "Once upon a time"}),
    "POST /v1/responses": About(CHAT, "Answer in the form of the Responses API", {"model": "demo", "input": "Hello!"}),
    "GET /v1/responses": About(CHAT, "Refuse a WebSocket with 426, so that clients use POST", status=""),
    "GET /v1/responses/{id}": About(CHAT, "Read a response that is kept here"),
    "DELETE /v1/responses/{id}": About(CHAT, "Forget a response that is kept here"),
    "GET /v1/responses/{id}/input_items": About(
        CHAT, "List what a response was made from", asks=("limit", "order", "after")
    ),
    "POST /v1/messages": About(
        CHAT, "Answer in the form of the Messages API", {"model": "demo", "max_tokens": 100, "messages": TALK}
    ),
    "POST /v1/messages/count_tokens": About(
        CHAT, "Count, or estimate, the tokens of such a request", {"model": "demo", "messages": TALK}
    ),
    "POST /v1/embeddings": About(INPUTS, "Turn texts into vectors", {"model": "my-embedding", "input": ["Hello!"]}),
    "POST /v1/rerank": About(
        INPUTS,
        "Sort documents by a question",
        {"model": "my-reranker", "query": "Where?", "documents": ["Here.", "There."]},
    ),
    "POST /v1/moderations": About(INPUTS, "Judge a text", {"model": "my-moderation", "input": "Hello!"}),
    "POST /v1/images/generations": About(MEDIA, "Draw an image", {"model": "my-image", "prompt": "A lighthouse"}),
    "POST /v1/images/edits": About(
        MEDIA, "Change an image", {"model": "my-image", "prompt": "At night", "image": FILE}
    ),
    "POST /v1/audio/speech": About(
        MEDIA, "Say a text", {"model": "my-speech", "input": "Hello!", "voice": "alloy"}, answers="audio/mpeg"
    ),
    "POST /v1/audio/transcriptions": About(
        MEDIA, "Write down what was said", {"model": "my-transcription", "file": FILE, "response_format": "json"}
    ),
    "POST /v1/audio/translations": About(
        MEDIA, "Write down in English what was said", {"model": "my-transcription", "file": FILE}
    ),
    "POST /v1/ocr": About(
        MEDIA, "Read the text in an image or a PDF", {"model": "my-ocr", "file": FILE}, also="application/json"
    ),
    "GET /v1/models": About(MODELS, "List the models this key may use", asks=("limit", "after_id", "before_id")),
    "GET /v1/models/{id}": About(MODELS, "Read one model"),
    "GET /health": About(SERVER, "Say that the server is alive"),
    "GET /ready": About(SERVER, "Say whether it takes calls: loaded, and not shutting down"),
    "POST /api/event_logging/{rest}": About(SERVER, "Take what coding agents tell of themselves, and forget it", {}),
    "GET /api/hello": About(SERVER, "Answer a client's warm-up with an empty 200", answers=""),
    "GET /v1/usage": About(USAGE, "Read what the presented key has spent, its limits, and when they begin anew"),
    "GET /usage": About(
        USAGE,
        "Read one's own usage by month; administrators read everybody's",
        asks=("skip", "limit", "month", "email", "sort"),
    ),
    "GET /metrics": About(
        SERVER,
        "Read counters as Prometheus text: for administrators, and keys whose scopes name metrics",
        answers="text/plain",
        access=ADMIN,
        security=WATCHERS,
    ),
    "GET /ui/tracking": About(
        PAGES, "Go to the request log, where the older tracking page was", answers="", status="302"
    ),
    "GET /ui/tracking_data": About(
        REPORTS,
        "Read the request log in the words of the older tracking page",
        asks=("page", "page_size", "sort_by", "sort_order"),
    ),
    "GET /token": About(PEOPLE, "Get a token for Google's identity token", asks=("credential", "nonce")),
    "POST /token": About(
        PEOPLE,
        "Get a token for Google's identity token, sent as JSON or a form",
        {"credential": "…"},
        also="application/x-www-form-urlencoded",
    ),
    "GET /openapi.json": About(SERVER, "Describe the API: this document"),
    "POST /api/admin/login": About(PEOPLE, "Sign in as an administrator", SIGN_IN),
    "POST /api/user/login": About(PEOPLE, "Sign in", SIGN_IN),
    "POST /api/logout": About(PEOPLE, "Sign out; with everywhere=1 in every browser", query=("everywhere",)),
    "GET /api/session": About(PEOPLE, "Say who is signed in, or null, and how large a recording and an image may be"),
    "GET /api/user/me": About(PEOPLE, "Read one's own account and key"),
    "GET /api/user/usage": About(PEOPLE, "Read one's own usage, limits and months", asks=("from", "to", "by")),
    "POST /api/user/key/rotate": About(PEOPLE, "Replace one's own key; the answer has the new one, once"),
    "PUT /api/user/password": About(PEOPLE, "Change one's own password", {"currentPassword": "…", "newPassword": "…"}),
    "GET /api/admin/presets": About(PROVIDERS, "List well-known providers to start from"),
    **record("provider", "providers", "/api/admin/providers", PROVIDER),
    "POST /api/admin/providers/test": About(PROVIDERS, "Test a provider before it is saved", PROVIDER),
    "POST /api/admin/providers/models": About(PROVIDERS, "List a provider's models before it is saved", PROVIDER),
    "POST /api/admin/providers/{id}/test": About(PROVIDERS, "Test a provider"),
    "GET /api/admin/providers/{id}/models": About(PROVIDERS, "List what a provider says it serves"),
    **record(
        "model",
        "models",
        "/api/admin/models",
        {"id": "my-model", "providerId": "home", "type": "chat"},
        ', or several at once as {"models": […]}',
    ),
    "POST /api/admin/models/bulk": About(RECORDS, "Enable, disable or delete several models", BULK),
    "GET /api/admin/prices": About(RECORDS, "Look up the list price of a well-known model", asks=("provider", "model")),
    "POST /api/admin/prices/import": About(
        RECORDS, "Take prices from a price file; dryRun=1 only says which", {}, query=("dryRun",)
    ),
    **record("key", "keys", "/api/admin/apikeys", {"name": "Class 7b", "allowedModels": ["my-model"]}),
    "POST /api/admin/apikeys/bulk": About(RECORDS, "Enable, disable or delete several keys", BULK),
    "POST /api/admin/apikeys/{id}/rotate": About(RECORDS, "Replace a key; the answer has the new one, once"),
    **record("user", "users", "/api/admin/users", {"username": "somebody", "password": "…", "role": "user"}),
    "POST /api/admin/users/{id}/revoke": About(RECORDS, "End every token and session of a user"),
    **record(
        "alias", "aliases", "/api/admin/aliases", {"id": "cheap", "target": "my-model", "modelMap": {"haiku": "small"}}
    ),
    "POST /api/admin/aliases/bulk": About(RECORDS, "Enable, disable or delete several aliases", BULK),
    "POST /api/admin/aliases/preview": About(
        RECORDS,
        "Show where a name leads behind an alias, and what becomes of a system prompt, before it is saved",
        {"alias": {"id": "cheap", "target": "my-model"}, "model": "my-model", "system": "…"},
    ),
    "GET /api/admin/usage": About(
        REPORTS,
        "Read sums, by day, hour, key, user, model, provider or alias",
        asks=("from", "to", "by", "key", "user", "model", "provider", "alias"),
    ),
    "GET /api/admin/requests": About(
        REPORTS,
        "Read the request log, or with format=csv or jsonl export it",
        asks=(
            *("page", "pageSize", "sort", "order", "q", "model", "provider", "key", "user", "alias", "status"),
            *("origin", "from", "to", "format"),
        ),
    ),
    "GET /api/admin/requests/{requestId}": About(REPORTS, "Read one call"),
    "GET /api/admin/limits": About(REPORTS, "See how the limits of all keys and users stand"),
    "GET /api/admin/audit": About(
        REPORTS,
        "Read who changed what",
        asks=("actor", "address", "action", "resource", "id", "from", "to", "page", "pageSize"),
    ),
    "GET /api/admin/settings": About(UPKEEP, "List the settings, their values and where each comes from"),
    "PUT /api/admin/settings": About(
        UPKEEP, "Change settings in the database; null removes one", {"LOG_LEVEL": "debug"}
    ),
    "GET /api/admin/export": About(UPKEEP, "Download the database; secrets=1 includes the secrets", query=("secrets",)),
    "POST /api/admin/import": About(
        UPKEEP, "Take in a database; dryRun=1 only says what would change", DOCUMENT, query=("dryRun",)
    ),
    "GET /api/admin/backups": About(UPKEEP, "List the kept versions of the database"),
    "POST /api/admin/backups/{name}/restore": About(
        UPKEEP, "Go back to a kept version; dryRun=1 only says what would change", {"time": 0}, query=("dryRun",)
    ),
    "GET /": About(PAGES, "The page to sign in on", answers="text/html"),
    "GET /admin.html": About(PAGES, "The administrators' page", answers="text/html"),
    "GET /user.html": About(PAGES, "Everybody's own page", answers="text/html"),
    "GET /chat.html": About(PAGES, "The chat page", answers="text/html"),
    "GET /style.css": About(PAGES, "The pages' stylesheet", answers="text/css"),
    "GET /reports.css": About(PAGES, "The stylesheet of figures and charts", answers="text/css"),
    "GET /chat.css": About(PAGES, "The stylesheet of conversations", answers="text/css"),
    "GET /screens.css": About(PAGES, "The stylesheet of docs and settings", answers="text/css"),
    "GET /theme.js": About(PAGES, "The pages' choice of light or dark", answers="text/javascript"),
    "GET /icons.svg": About(PAGES, "The pages' icons", answers="image/svg+xml"),
    "GET /favicon.ico": About(PAGES, "The pages' icon in a browser's tab", answers="image/svg+xml"),
    "GET /js/{path}": About(PAGES, "The pages' scripts", answers="text/javascript"),
}


def document(routes: Iterable[Route]) -> Json:
    """The OpenAPI document of these routes."""
    paths: dict[str, Json] = {}
    for route in routes:
        path = route.pattern.replace("...}", "}")
        paths.setdefault(path, {})[route.method.lower()] = operation(route, path)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "iPin Proxy",
            "version": __version__,
            "description": "Every AI provider behind one OpenAI-compatible API. Any /v1 path also answers behind the id of a "
            "provider or an alias, /{id}/v1/…, which pins it to that one. Ids may hold slashes, as they are or as %2F.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"securitySchemes": SCHEMES, "schemas": {"Error": ERROR, "MessagesError": MESSAGES_ERROR}},
    }


def operation(route: Route, path: str) -> Json:
    about = ABOUT[f"{route.method} {path}"]
    access = about.access or route.access
    found: Json = {
        "operationId": re.sub(r"[^A-Za-z0-9]+", "_", f"{route.method.lower()} {path}").strip("_"),
        "summary": about.summary,
        "tags": [about.tag],
        "x-access": access,
        "security": SECURITY[access] if about.security is None else about.security,
        "parameters": parameters(path, about),
        "responses": responses(route, about),
    }
    if about.body is not None:
        is_upload = FILE in about.body.values()
        media = "multipart/form-data" if is_upload else "application/json"
        content: Json = {"schema": {"type": "object", "properties": schemas_of(about.body)}}
        if not is_upload:
            content["example"] = about.body
        found["requestBody"] = {"content": {media: content, **({about.also: {}} if about.also else {})}}
    return found


def responses(route: Route, about: About) -> Json:
    schemas = [{"$ref": f"#/components/schemas/{name}"} for name in ERRORS[route.dialect]]
    schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    error = {"description": "An error.", "content": {"application/json": {"schema": schema}}}
    if not about.status:  # it can only fail
        return {"default": error}
    answer: Json = {"description": "It worked."}
    if about.answers:
        answer["content"] = {about.answers: {}}
    return {about.status: answer, "default": error}


def parameters(path: str, about: About) -> list[Json]:
    text = {"type": "string"}
    found: list[Json] = [
        {"name": name, "in": "path", "required": True, "schema": text} for name in re.findall(r"\{(\w+)\}", path)
    ]
    found += [{"name": name, "in": "query", "schema": text} for name in about.asks]
    return found + [{"name": name, "in": "query", "schema": {"enum": ["0", "1"]}} for name in about.query]


def schemas_of(example: Json) -> Json:
    """The types of the members an example shows; others are possible everywhere."""
    kinds = ((str, "string"), (bool, "boolean"), (int, "integer"), (list, "array"))
    binary = {"type": "string", "format": "binary"}
    return {
        name: binary
        if value == FILE
        else {"type": next((word for kind, word in kinds if isinstance(value, kind)), "object")}
        for name, value in example.items()
    }
