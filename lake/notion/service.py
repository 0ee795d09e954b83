"""Notion's API through its official client, with patience.

The client by itself repeats a query only where Notion says that there are too many requests; what
is here also repeats it after a server's error, a time-out or a broken connection, since reading
twice does no harm. See https://developers.notion.com/reference/status-codes.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx
import msgspec
from notion_client import Client
from notion_client.client import ClientOptions
from notion_client.errors import HTTPResponseError, RequestTimeoutError

from lake.errors import SourceRefused, SourceUnreachable, reason

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from lake.notion.settings import Settings

T = TypeVar("T")

VERSION = "2025-09-03"
"""Of the API: the first in which a database has data sources."""

TIMEOUT_MS = 60_000
"""Notion itself gives up on a request after a minute."""

CONNECT_SECONDS = 5.0
"""How long opening a connection may take."""

WAITS = (0.5, 1.0, 2.0, 4.0)
"""Seconds to wait after each attempt that failed, unless Notion says how long."""

PATIENCE_SECONDS = 300.0
"""Seconds that are waited at most where Notion says how long."""

PASSING = frozenset({409, 429, 500, 502, 503, 504, 529})
"""The statuses after which the same request may succeed."""


class NotFoundError(Exception):
    """There is nothing of that id, or it is not shared with the integration."""


class CursorExpiredError(Exception):
    """Notion no longer knows where a query stopped."""


class Service:
    """A connection to Notion's API.

    Attributes:
        client: The official client; its endpoints are handed to :meth:`ask`.
        opened_at: When Notion first answered, by its own clock; ``None`` before, or if it does
            not say.
    """

    def __init__(self, settings: Settings) -> None:
        """Prepare the connection; nothing is sent yet."""
        self.opened_at: datetime | None = None
        self._asked = False
        self._settings = settings
        # The client's own logger writes every failed attempt to standard error.
        silent = logging.Logger("lake.notion", logging.CRITICAL + 1)
        self.client = Client(
            ClientOptions(
                auth=settings.token,
                base_url=settings.base_url,
                timeout_ms=TIMEOUT_MS,
                notion_version=VERSION,
                logger=silent,
                log_level=logging.CRITICAL + 1,
                retry=False,
            ),
            client=httpx.Client(event_hooks={"response": [self._note_time]}),
        )
        self.client.client.timeout = httpx.Timeout(TIMEOUT_MS / 1_000, connect=CONNECT_SECONDS)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self.client.close()

    def ask(self, shape: type[T], endpoint: Callable[..., Any], **arguments: object) -> T:
        """Send a request until it succeeds or there is no sense in going on.

        Args:
            shape: What the answer must look like.
            endpoint: One of the client's.
            arguments: What it takes.

        Raises:
            NotFoundError: The answer is 404.
            CursorExpiredError: The answer is 400 because of ``start_cursor``.
            SourceRefused: Notion understood the request and does not do it.
            SourceUnreachable: It did not answer, or not properly, in any attempt.
        """
        for attempt in range(len(WAITS) + 1):
            asked = None
            try:
                return msgspec.convert(_mended(endpoint(**arguments)), shape)
            except HTTPResponseError as error:
                if error.status not in PASSING:
                    raise self._refusal(error, arguments) from None
                problem = f"it answered {error.status}"
                asked = _retry_after(error.headers)
            except RequestTimeoutError:
                problem = "no answer in time"
            except httpx.RequestError as error:
                problem = self._without_token(reason(error))
            except ValueError as error:  # of JSON and of msgspec
                problem = self._without_token(f"not the documented answer: {reason(error)}")
            if attempt == len(WAITS) or (asked or 0) > PATIENCE_SECONDS:
                raise self._unreachable(problem, attempt + 1, asked)
            time.sleep(WAITS[attempt] if asked is None else asked)
        raise AssertionError  # the last attempt returns or raises

    def _note_time(self, response: httpx.Response) -> None:
        """Take the time from the first answer: nothing that is read later is older."""
        if not self._asked:
            self._asked = True
            self.opened_at = _http_date(response.headers.get("date", ""))

    def _refusal(self, error: HTTPResponseError, arguments: dict[str, object]) -> Exception:
        """Return what to raise for an answer that will not become another."""
        said = self._without_token(reason(error))
        if error.status == 404:
            return NotFoundError(said)
        if error.status == 400 and arguments.get("start_cursor") and "cursor" in said:
            return CursorExpiredError(said)
        if error.status == 401:
            return SourceRefused(
                "Notion does not know the token in NOTION_TOKEN: copy the integration's secret "
                "anew."
            )
        if error.status == 403:
            return SourceRefused(
                "Notion does not let the integration read this database: give it the capability "
                "to read content in Notion's settings."
            )
        return SourceRefused(f"Notion refuses what it was asked for ({error.status}: {said}).")

    def _unreachable(self, problem: str, attempts: int, asked: float | None) -> SourceUnreachable:
        if asked is not None and asked > PATIENCE_SECONDS:
            problem += f" and asks for {asked:,.0f} seconds of patience"
        return SourceUnreachable(
            f"Notion cannot be reached at {self._settings.base_url} ({problem}; attempts: "
            f"{attempts}): nothing has been written, try again later."
        )

    def _without_token(self, text: str) -> str:
        return text.replace(self._settings.token, "…")


def _mended(answer: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return an answer in which every text can be stored.

    Notion cuts some texts after half an emoji (half a surrogate pair), which is no character:
    U+FFFD takes its place.
    """
    if isinstance(answer, str):
        if answer.isascii():
            return answer
        return answer.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(answer, list):
        return [_mended(each) for each in answer]
    if isinstance(answer, dict):
        return {_mended(name): _mended(value) for name, value in answer.items()}
    return answer


def _retry_after(headers: httpx.Headers) -> float | None:
    """Return the seconds that Notion asks to wait (RFC 9110 §10.2.3), if it does."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.replace(".", "", 1).isdecimal():
        return float(value)
    moment = _http_date(value)
    return None if moment is None else max((moment - datetime.now(UTC)).total_seconds(), 0.0)


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
