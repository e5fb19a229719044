"""Every error we raise on purpose. Raise one anywhere; dispatch.py renders it once, in the caller's dialect.

ProxyError
├─ BadRequest 400
│  ├─ BadImage               no image, or none that can be sent on
│  └─ Unsupported            has no place in the provider's format
├─ Unauthorized 401
├─ Forbidden 403
├─ NotFound 404
│  └─ ModelNotFound 404
├─ MethodNotAllowed 405 (Allow)
├─ RequestTimeout 408
├─ Conflict 409
├─ PayloadTooLarge 413
├─ UnsupportedMediaType 415
├─ TooManyAttempts 429 (Retry-After)
├─ RateLimited 429           so many requests or tokens a minute (Retry-After)
│  └─ ConcurrencyLimited     so many calls at once
├─ QuotaExceeded 429         so many requests a month (waiting a moment does not cure it)
│  └─ BudgetExceeded         so many dollars
├─ UpstreamError 502
│  ├─ UpstreamRefused        their own status, their own words
│  ├─ UpstreamTimeout 504
│  └─ UpstreamUnreachable    nothing was answered, so the next deployment may be tried
├─ NotConfigured 503         no provider for this model (waiting does not cure it)
└─ Unavailable 503           draining, or too many connections (waiting does)

A message says what happened, which value, and what to do. It never holds a key, a path or a host of ours.
`ConfigError` stands apart: it ends the start with one line on the terminal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DO_NOT_RETRY = {"x-should-retry": "false"}


class ConfigError(Exception):
    """A setting, file or port that keeps the server from starting; the message is the one line a person reads."""


class ProxyError(Exception):
    """A refusal or failure with an HTTP status, an OpenAI error `type` and a machine-readable `code`."""

    status = 500
    type = "server_error"
    code = "internal_error"
    headers: Mapping[str, str] = {}

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        status: int | None = None,
        type: str | None = None,
        headers: Mapping[str, str] | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.status = status or self.status
        self.code = code if code is not None else self.code
        self.type = type or self.type
        self.headers = {**self.headers, **(headers or {})}
        self.details = dict(details or {})


class BadRequest(ProxyError):
    status = 400
    type = "invalid_request_error"
    code = "invalid_value"


class BadImage(BadRequest):
    code = "image_validation_failed"


class Unsupported(BadRequest):
    """What a caller asks for has no place in the format of the provider that would be asked, or in its answers."""

    code = "unsupported_parameter"


class Unauthorized(ProxyError):
    """One message for every reason, so that nobody learns which keys exist. Coding agents would retry a plain 401."""

    status = 401
    type = "invalid_request_error"
    code = "invalid_api_key"
    headers = {**DO_NOT_RETRY, "www-authenticate": "Bearer"}


class Forbidden(ProxyError):
    status = 403
    type = "permission_error"
    code = "forbidden"


class NotFound(ProxyError):
    status = 404
    type = "invalid_request_error"
    code = "not_found"


class ModelNotFound(NotFound):
    code = "model_not_found"


class MethodNotAllowed(ProxyError):
    status = 405
    type = "invalid_request_error"
    code = "method_not_allowed"


class RequestTimeout(ProxyError):
    status = 408
    type = "invalid_request_error"
    code = "request_timeout"


class Conflict(ProxyError):
    status = 409
    type = "invalid_request_error"
    code = "conflict"


class PayloadTooLarge(ProxyError):
    status = 413
    type = "invalid_request_error"
    code = "request_too_large"


class UnsupportedMediaType(ProxyError):
    status = 415
    type = "invalid_request_error"
    code = "unsupported_media_type"


class TooManyAttempts(ProxyError):
    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"


class RateLimited(ProxyError):
    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"


class ConcurrencyLimited(RateLimited):
    code = "concurrency_limit_exceeded"


class QuotaExceeded(ProxyError):
    """By its type Codex knows that there is no use in asking again; it heeds no `x-should-retry`."""

    status = 429
    type = "insufficient_quota"
    code = "quota_exceeded"
    headers = DO_NOT_RETRY


class BudgetExceeded(QuotaExceeded):
    code = "budget_exceeded"


class UpstreamError(ProxyError):
    status = 502
    type = "upstream_error"
    code = "upstream_invalid_response"


class UpstreamRefused(UpstreamError):
    """The provider's own error, with its status, message, code and `retry-after`."""


class UpstreamTimeout(UpstreamError):
    status = 504
    code = "upstream_timeout"


class UpstreamUnreachable(UpstreamError):
    code = "upstream_unreachable"


class NotConfigured(ProxyError):
    status = 503
    code = "provider_not_configured"
    headers = DO_NOT_RETRY


class Unavailable(ProxyError):
    status = 503
    code = "draining"
    headers = {"retry-after": "5"}


def reason(error: OSError) -> str:
    """Why the system refused, in its own words: "no space left on device"."""
    return (error.strerror or str(error)).lower()


def draining() -> Unavailable:
    """What is told to whoever the server can no longer wait for."""
    return Unavailable("The server is shutting down; please ask again in a moment.")


def web_page(provider: str) -> UpstreamError:
    """What is told where a provider answers as to a browser."""
    return UpstreamError(f"Provider '{provider}' answered with a web page; its base URL may be wrong.")
