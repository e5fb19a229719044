"""The table of everything that can be asked for. Paths are promises; tests compare them with the README.

Any `/v1/…` route also answers behind the name of a provider (`/openai/v1/…`), which pins it to that provider.
"""

from __future__ import annotations

from .app import ADMIN, KEY, PUBLIC, USER
from .call import CHAT, COMPLETION, EMBEDDING, IMAGE, IMAGE_EDIT, MODERATION, RERANK, RESPONSE, SPEECH
from .dialects import OPENAI
from .handlers import account, admin, calls, data, health, models, pages, providers, settings
from .kinds import KEYS, MODELS, PROVIDERS, USERS
from .web.router import Route

ROUTES: tuple[Route, ...] = (
    Route("POST", "/v1/chat/completions", KEY, OPENAI, calls.create(CHAT)),
    Route("POST", "/v1/completions", KEY, OPENAI, calls.create(COMPLETION)),
    Route("POST", "/v1/responses", KEY, OPENAI, calls.create(RESPONSE)),
    Route("GET", "/v1/responses", PUBLIC, OPENAI, calls.refuse_websocket),
    Route("POST", "/v1/embeddings", KEY, OPENAI, calls.create(EMBEDDING)),
    Route("POST", "/v1/rerank", KEY, OPENAI, calls.create(RERANK)),
    Route("POST", "/v1/moderations", KEY, OPENAI, calls.create(MODERATION)),
    Route("POST", "/v1/images/generations", KEY, OPENAI, calls.create(IMAGE)),
    Route("POST", "/v1/images/edits", KEY, OPENAI, calls.upload(IMAGE_EDIT)),
    Route("POST", "/v1/audio/speech", KEY, OPENAI, calls.create(SPEECH)),
    Route("GET", "/v1/models", KEY, OPENAI, models.list_all),
    Route("GET", "/v1/models/{id...}", KEY, OPENAI, models.retrieve),
    Route("GET", "/health", PUBLIC, OPENAI, health.alive),
    Route("GET", "/ready", PUBLIC, OPENAI, health.ready),
    Route("GET", "/api/hello", PUBLIC, OPENAI, health.hello),
    Route("GET", "/openapi.json", PUBLIC, OPENAI, pages.describe(lambda: ROUTES)),
    Route("GET", "/", PUBLIC, OPENAI, pages.page("index.html")),
    Route("GET", "/admin.html", PUBLIC, OPENAI, pages.page("admin.html")),
    Route("GET", "/user.html", PUBLIC, OPENAI, pages.page("user.html")),
    Route("GET", "/chat.html", PUBLIC, OPENAI, pages.page("chat.html")),
    Route("GET", "/style.css", PUBLIC, OPENAI, pages.page("style.css")),
    Route("GET", "/theme.js", PUBLIC, OPENAI, pages.page("theme.js")),
    Route("GET", "/icons.svg", PUBLIC, OPENAI, pages.page("icons.svg")),
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
    Route("GET", "/api/admin/providers", ADMIN, OPENAI, admin.list_all(PROVIDERS)),
    Route("POST", "/api/admin/providers", ADMIN, OPENAI, admin.create(PROVIDERS)),
    Route("POST", "/api/admin/providers/test", ADMIN, OPENAI, providers.test_unsaved),
    Route("POST", "/api/admin/providers/models", ADMIN, OPENAI, providers.list_models_unsaved),
    Route("POST", "/api/admin/providers/{id...}/test", ADMIN, OPENAI, providers.test),
    Route("GET", "/api/admin/providers/{id...}/models", ADMIN, OPENAI, providers.list_models),
    Route("GET", "/api/admin/providers/{id...}", ADMIN, OPENAI, admin.retrieve(PROVIDERS)),
    Route("PUT", "/api/admin/providers/{id...}", ADMIN, OPENAI, admin.update(PROVIDERS)),
    Route("DELETE", "/api/admin/providers/{id...}", ADMIN, OPENAI, admin.delete(PROVIDERS)),
    Route("GET", "/api/admin/models", ADMIN, OPENAI, admin.list_all(MODELS)),
    Route("POST", "/api/admin/models", ADMIN, OPENAI, admin.create(MODELS)),
    Route("POST", "/api/admin/models/bulk", ADMIN, OPENAI, admin.bulk(MODELS)),
    Route("GET", "/api/admin/models/{id...}", ADMIN, OPENAI, admin.retrieve(MODELS)),
    Route("PUT", "/api/admin/models/{id...}", ADMIN, OPENAI, admin.update(MODELS)),
    Route("DELETE", "/api/admin/models/{id...}", ADMIN, OPENAI, admin.delete(MODELS)),
    Route("GET", "/api/admin/apikeys", ADMIN, OPENAI, admin.list_all(KEYS)),
    Route("POST", "/api/admin/apikeys", ADMIN, OPENAI, admin.create(KEYS)),
    Route("POST", "/api/admin/apikeys/bulk", ADMIN, OPENAI, admin.bulk(KEYS)),
    Route("POST", "/api/admin/apikeys/{id...}/rotate", ADMIN, OPENAI, admin.rotate_key),
    Route("GET", "/api/admin/apikeys/{id...}", ADMIN, OPENAI, admin.retrieve(KEYS)),
    Route("PUT", "/api/admin/apikeys/{id...}", ADMIN, OPENAI, admin.update(KEYS)),
    Route("DELETE", "/api/admin/apikeys/{id...}", ADMIN, OPENAI, admin.delete(KEYS)),
    Route("GET", "/api/admin/users", ADMIN, OPENAI, admin.list_all(USERS)),
    Route("POST", "/api/admin/users", ADMIN, OPENAI, admin.create(USERS)),
    Route("GET", "/api/admin/users/{id...}", ADMIN, OPENAI, admin.retrieve(USERS)),
    Route("PUT", "/api/admin/users/{id...}", ADMIN, OPENAI, admin.update(USERS)),
    Route("DELETE", "/api/admin/users/{id...}", ADMIN, OPENAI, admin.delete(USERS)),
    Route("GET", "/api/admin/settings", ADMIN, OPENAI, settings.show),
    Route("PUT", "/api/admin/settings", ADMIN, OPENAI, settings.change),
    Route("GET", "/api/admin/export", ADMIN, OPENAI, data.export_document),
    Route("POST", "/api/admin/import", ADMIN, OPENAI, data.import_document),
    Route("GET", "/api/admin/backups", ADMIN, OPENAI, data.list_backups),
    Route("POST", "/api/admin/backups/{name}/restore", ADMIN, OPENAI, data.restore),
)
