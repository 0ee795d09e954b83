"""What a handler, and whatever helps it, takes for a request."""

from typing import Any

from litestar import Request

AnyRequest = Request[Any, Any, Any]
