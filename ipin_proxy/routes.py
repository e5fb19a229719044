"""The table of everything that can be asked for. Paths are promises; tests compare them with the README.

Any `/v1/…` route also answers behind the name of a provider (`/openai/v1/…`), which pins it to that provider, or of an alias.
"""

from __future__ import annotations

from .app import ADMIN, KEY, PUBLIC, USER
from .call import (
    CHAT,
    COMPLETION,
    EMBEDDING,
    IMAGE,
    IMAGE_EDIT,
    MESSAGE,
    MODERATION,
    RERANK,
    RESPONSE,
    SPEECH,
    TRANSCRIPTION,
    TRANSLATION,
)
from .dialects import ANY, MESSAGES, OPENAI
from .handlers import Later, Made, calls, health
from .kinds import ALIASES, KEYS, MODELS, PROVIDERS, USERS
from .web.router import Route

# Loaded when the first handler in them is called. `audio`, `crud` and `static` are functions that make one.
account = Later("account")
admin, crud = Later("admin"), Made("admin")
aliases = Later("aliases")
audio = Made("audio")
counting = Later("counting")
data = Later("data")
metrics = Later("metrics")
models = Later("models")
ocr = Later("ocr")
pages, static = Later("pages"), Made("pages")
prices = Later("prices")
providers = Later("providers")
reports = Later("reports")
responses = Later("responses")
settings = Later("settings")
token = Later("token")
tracking = Later("tracking")
usage = Later("usage")

ROUTES: tuple[Route, ...] = (
    Route("POST", "/v1/chat/completions", KEY, OPENAI, calls.create(CHAT)),
    Route("POST", "/v1/completions", KEY, OPENAI, calls.create(COMPLETION)),
    Route("POST", "/v1/responses", KEY, OPENAI, calls.create(RESPONSE)),
    Route("GET", "/v1/responses", PUBLIC, OPENAI, calls.refuse_websocket),
    Route("GET", "/v1/responses/{id}", KEY, OPENAI, responses.retrieve),
    Route("DELETE", "/v1/responses/{id}", KEY, OPENAI, responses.delete),
    Route("GET", "/v1/responses/{id}/input_items", KEY, OPENAI, responses.input_items),
    Route("POST", "/v1/messages", KEY, MESSAGES, calls.create(MESSAGE)),
    Route("POST", "/v1/messages/count_tokens", KEY, MESSAGES, counting.count),
    Route("POST", "/v1/embeddings", KEY, OPENAI, calls.create(EMBEDDING)),
    Route("POST", "/v1/rerank", KEY, OPENAI, calls.create(RERANK)),
    Route("POST", "/v1/moderations", KEY, OPENAI, calls.create(MODERATION)),
    Route("POST", "/v1/images/generations", KEY, OPENAI, calls.create(IMAGE)),
    Route("POST", "/v1/images/edits", KEY, OPENAI, calls.upload(IMAGE_EDIT)),
    Route("POST", "/v1/audio/speech", KEY, OPENAI, calls.create(SPEECH)),
    Route("POST", "/v1/audio/transcriptions", KEY, OPENAI, audio.hear(TRANSCRIPTION)),
    Route("POST", "/v1/audio/translations", KEY, OPENAI, audio.hear(TRANSLATION)),
    Route("POST", "/v1/ocr", KEY, OPENAI, ocr.read),
    Route("GET", "/v1/models", KEY, ANY, models.list_all),
    Route("GET", "/v1/models/{id...}", KEY, ANY, models.retrieve),
    Route("GET", "/v1/usage", KEY, OPENAI, usage.own),
    Route("GET", "/usage", KEY, OPENAI, usage.months),
    Route("GET", "/metrics", PUBLIC, OPENAI, metrics.scrape),
    Route("GET", "/ui/tracking", PUBLIC, OPENAI, tracking.page),
    Route("GET", "/ui/tracking_data", ADMIN, OPENAI, tracking.data),
    Route("GET", "/token", PUBLIC, OPENAI, token.issue),
    Route("POST", "/token", PUBLIC, OPENAI, token.issue),
    Route("GET", "/health", PUBLIC, OPENAI, health.alive),
    Route("GET", "/ready", PUBLIC, OPENAI, health.ready),
    Route("GET", "/api/hello", PUBLIC, OPENAI, health.hello),
    Route("POST", "/api/event_logging/{rest...}", PUBLIC, OPENAI, health.telemetry),
    Route("GET", "/openapi.json", PUBLIC, OPENAI, static.describe(lambda: ROUTES)),
    Route("GET", "/", PUBLIC, OPENAI, static.page("index.html")),
    Route("GET", "/admin.html", PUBLIC, OPENAI, static.page("admin.html")),
    Route("GET", "/user.html", PUBLIC, OPENAI, static.page("user.html")),
    Route("GET", "/chat.html", PUBLIC, OPENAI, static.page("chat.html")),
    Route("GET", "/style.css", PUBLIC, OPENAI, static.page("style.css")),
    Route("GET", "/reports.css", PUBLIC, OPENAI, static.page("reports.css")),
    Route("GET", "/chat.css", PUBLIC, OPENAI, static.page("chat.css")),
    Route("GET", "/screens.css", PUBLIC, OPENAI, static.page("screens.css")),
    Route("GET", "/theme.js", PUBLIC, OPENAI, static.page("theme.js")),
    Route("GET", "/icons.svg", PUBLIC, OPENAI, static.page("icons.svg")),
    Route("GET", "/favicon.ico", PUBLIC, OPENAI, pages.icon),
    Route("GET", "/js/{path...}", PUBLIC, OPENAI, pages.script),
    Route("POST", "/api/admin/login", PUBLIC, OPENAI, account.admin_login),
    Route("POST", "/api/user/login", PUBLIC, OPENAI, account.user_login),
    Route("POST", "/api/logout", PUBLIC, OPENAI, account.logout),
    Route("GET", "/api/session", PUBLIC, OPENAI, account.session),
    Route("GET", "/api/user/me", USER, OPENAI, account.me),
    Route("GET", "/api/user/usage", USER, OPENAI, account.usage),
    Route("POST", "/api/user/key/rotate", USER, OPENAI, account.rotate_key),
    Route("PUT", "/api/user/password", USER, OPENAI, account.change_password),
    Route("GET", "/api/admin/presets", ADMIN, OPENAI, providers.presets),
    Route("GET", "/api/admin/providers", ADMIN, OPENAI, crud.list_all(PROVIDERS)),
    Route("POST", "/api/admin/providers", ADMIN, OPENAI, crud.create(PROVIDERS)),
    Route("POST", "/api/admin/providers/test", ADMIN, OPENAI, providers.test_unsaved),
    Route("POST", "/api/admin/providers/models", ADMIN, OPENAI, providers.list_models_unsaved),
    Route("POST", "/api/admin/providers/{id...}/test", ADMIN, OPENAI, providers.test),
    Route("GET", "/api/admin/providers/{id...}/models", ADMIN, OPENAI, providers.list_models),
    Route("GET", "/api/admin/providers/{id...}", ADMIN, OPENAI, crud.retrieve(PROVIDERS)),
    Route("PUT", "/api/admin/providers/{id...}", ADMIN, OPENAI, crud.update(PROVIDERS)),
    Route("DELETE", "/api/admin/providers/{id...}", ADMIN, OPENAI, crud.delete(PROVIDERS)),
    Route("GET", "/api/admin/models", ADMIN, OPENAI, crud.list_all(MODELS)),
    Route("POST", "/api/admin/models", ADMIN, OPENAI, crud.create(MODELS)),
    Route("POST", "/api/admin/models/bulk", ADMIN, OPENAI, crud.bulk(MODELS)),
    Route("GET", "/api/admin/models/{id...}", ADMIN, OPENAI, crud.retrieve(MODELS)),
    Route("PUT", "/api/admin/models/{id...}", ADMIN, OPENAI, crud.update(MODELS)),
    Route("DELETE", "/api/admin/models/{id...}", ADMIN, OPENAI, crud.delete(MODELS)),
    Route("GET", "/api/admin/prices", ADMIN, OPENAI, prices.show),
    Route("POST", "/api/admin/prices/import", ADMIN, OPENAI, prices.import_file),
    Route("GET", "/api/admin/apikeys", ADMIN, OPENAI, crud.list_all(KEYS)),
    Route("POST", "/api/admin/apikeys", ADMIN, OPENAI, crud.create(KEYS)),
    Route("POST", "/api/admin/apikeys/bulk", ADMIN, OPENAI, crud.bulk(KEYS)),
    Route("POST", "/api/admin/apikeys/{id...}/rotate", ADMIN, OPENAI, admin.rotate_key),
    Route("GET", "/api/admin/apikeys/{id...}", ADMIN, OPENAI, crud.retrieve(KEYS)),
    Route("PUT", "/api/admin/apikeys/{id...}", ADMIN, OPENAI, crud.update(KEYS)),
    Route("DELETE", "/api/admin/apikeys/{id...}", ADMIN, OPENAI, crud.delete(KEYS)),
    Route("GET", "/api/admin/users", ADMIN, OPENAI, crud.list_all(USERS)),
    Route("POST", "/api/admin/users", ADMIN, OPENAI, crud.create(USERS)),
    Route("POST", "/api/admin/users/{id...}/revoke", ADMIN, OPENAI, admin.revoke),
    Route("GET", "/api/admin/users/{id...}", ADMIN, OPENAI, crud.retrieve(USERS)),
    Route("PUT", "/api/admin/users/{id...}", ADMIN, OPENAI, crud.update(USERS)),
    Route("DELETE", "/api/admin/users/{id...}", ADMIN, OPENAI, crud.delete(USERS)),
    Route("GET", "/api/admin/aliases", ADMIN, OPENAI, crud.list_all(ALIASES)),
    Route("POST", "/api/admin/aliases", ADMIN, OPENAI, crud.create(ALIASES)),
    Route("POST", "/api/admin/aliases/bulk", ADMIN, OPENAI, crud.bulk(ALIASES)),
    Route("POST", "/api/admin/aliases/preview", ADMIN, OPENAI, aliases.preview),
    Route("GET", "/api/admin/aliases/{id...}", ADMIN, OPENAI, crud.retrieve(ALIASES)),
    Route("PUT", "/api/admin/aliases/{id...}", ADMIN, OPENAI, crud.update(ALIASES)),
    Route("DELETE", "/api/admin/aliases/{id...}", ADMIN, OPENAI, crud.delete(ALIASES)),
    Route("GET", "/api/admin/usage", ADMIN, OPENAI, reports.usage),
    Route("GET", "/api/admin/requests", ADMIN, OPENAI, reports.requests),
    Route("GET", "/api/admin/requests/{requestId}", ADMIN, OPENAI, reports.request),
    Route("GET", "/api/admin/limits", ADMIN, OPENAI, reports.limits),
    Route("GET", "/api/admin/audit", ADMIN, OPENAI, reports.audit),
    Route("GET", "/api/admin/settings", ADMIN, OPENAI, settings.show),
    Route("PUT", "/api/admin/settings", ADMIN, OPENAI, settings.change),
    Route("GET", "/api/admin/export", ADMIN, OPENAI, data.export_document),
    Route("POST", "/api/admin/import", ADMIN, OPENAI, data.import_document),
    Route("GET", "/api/admin/backups", ADMIN, OPENAI, data.list_backups),
    Route("POST", "/api/admin/backups/{name}/restore", ADMIN, OPENAI, data.restore),
)
