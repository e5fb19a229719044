"""The table of everything that can be asked for. Paths are promises; tests compare them with the README.

Any `/v1/…` route also answers behind the name of a provider (`/openai/v1/…`), which pins it to that provider.
"""

from __future__ import annotations

from .app import ADMIN, KEY, PUBLIC, USER
from .call import CHAT, COMPLETION, EMBEDDING, IMAGE, IMAGE_EDIT, MODERATION, RERANK, RESPONSE, SPEECH
from .dialects import OPENAI
from .handlers import account, admin, calls, health, models, pages
from .web.router import Route

ROUTES = (
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
    Route("GET", "/", PUBLIC, OPENAI, pages.start),
    Route("POST", "/api/admin/login", PUBLIC, OPENAI, account.admin_login),
    Route("POST", "/api/user/login", PUBLIC, OPENAI, account.user_login),
    Route("POST", "/api/logout", PUBLIC, OPENAI, account.logout),
    Route("GET", "/api/user/me", USER, OPENAI, account.me),
    Route("PUT", "/api/user/password", USER, OPENAI, account.change_password),
    Route("GET", "/api/admin/providers", ADMIN, OPENAI, admin.list_all(admin.PROVIDERS)),
    Route("POST", "/api/admin/providers", ADMIN, OPENAI, admin.create(admin.PROVIDERS)),
    Route("POST", "/api/admin/providers/{id...}/test", ADMIN, OPENAI, admin.test_provider),
    Route("GET", "/api/admin/providers/{id...}/models", ADMIN, OPENAI, admin.provider_models),
    Route("GET", "/api/admin/providers/{id...}", ADMIN, OPENAI, admin.retrieve(admin.PROVIDERS)),
    Route("PUT", "/api/admin/providers/{id...}", ADMIN, OPENAI, admin.update(admin.PROVIDERS)),
    Route("DELETE", "/api/admin/providers/{id...}", ADMIN, OPENAI, admin.delete(admin.PROVIDERS)),
    Route("GET", "/api/admin/models", ADMIN, OPENAI, admin.list_all(admin.MODELS)),
    Route("POST", "/api/admin/models", ADMIN, OPENAI, admin.create(admin.MODELS)),
    Route("GET", "/api/admin/models/{id...}", ADMIN, OPENAI, admin.retrieve(admin.MODELS)),
    Route("PUT", "/api/admin/models/{id...}", ADMIN, OPENAI, admin.update(admin.MODELS)),
    Route("DELETE", "/api/admin/models/{id...}", ADMIN, OPENAI, admin.delete(admin.MODELS)),
    Route("GET", "/api/admin/apikeys", ADMIN, OPENAI, admin.list_all(admin.KEYS)),
    Route("POST", "/api/admin/apikeys", ADMIN, OPENAI, admin.create(admin.KEYS)),
    Route("GET", "/api/admin/apikeys/{id...}", ADMIN, OPENAI, admin.retrieve(admin.KEYS)),
    Route("PUT", "/api/admin/apikeys/{id...}", ADMIN, OPENAI, admin.update(admin.KEYS)),
    Route("DELETE", "/api/admin/apikeys/{id...}", ADMIN, OPENAI, admin.delete(admin.KEYS)),
    Route("GET", "/api/admin/users", ADMIN, OPENAI, admin.list_all(admin.USERS)),
    Route("POST", "/api/admin/users", ADMIN, OPENAI, admin.create(admin.USERS)),
    Route("GET", "/api/admin/users/{id...}", ADMIN, OPENAI, admin.retrieve(admin.USERS)),
    Route("PUT", "/api/admin/users/{id...}", ADMIN, OPENAI, admin.update(admin.USERS)),
    Route("DELETE", "/api/admin/users/{id...}", ADMIN, OPENAI, admin.delete(admin.USERS)),
)
