"""The app: every part, put together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from litestar import Litestar
from litestar.datastructures import MutableScopeHeaders
from litestar.datastructures import State as AppState
from litestar.di import Provide
from litestar.types import ASGIApp, Message, Scope
from loguru import logger

import telemetry
from api import (
    catalogue,
    changes,
    counts,
    docs,
    marketing,
    marts,
    options,
    publications,
    system,
    transformation,
)
from api.admission import Admission
from api.auth import routes as auth
from api.auth.bearer import Bearer
from api.auth.limits import Limit
from api.auth.signing_in import SigningIn
from api.auth.tokens import Tokens
from api.caching import tell_caches
from api.cors import Origins, Preflights
from api.garbage import look_seldom
from api.gate import Gate
from api.hosts import PROBES, Hosts
from api.hot import HotPath
from api.observing import metrics
from api.observing.figures import Figures
from api.observing.traffic import Traffic
from api.observing.workers import Workers
from api.openapi import skeleton
from api.opened import OpenPublication
from api.parameters import spread_lists
from api.pinned import Pinned
from api.problems import answer_problem, no_coding, no_publication
from api.protection import Protection, secure
from api.querying.pool import HUNG_AFTER, Processes
from api.requests import AnyRequest
from api.serving import Serving
from api.settings import Settings, SettingsError
from telemetry import log
from telemetry.cleaning import hide

ROUTES = [
    *options.ROUTES,  # first, or the framework makes its own
    *system.ROUTES,
    *publications.ROUTES,
    *metrics.ROUTES,
    *transformation.ROUTES,
    *marketing.ROUTES,
    *catalogue.ROUTES,
    *marts.ROUTES,
    *changes.ROUTES,
    *auth.ROUTES,
    *docs.ROUTES,
]

ALLOWING = {HTTPStatus.NO_CONTENT, HTTPStatus.METHOD_NOT_ALLOWED}
"""The statuses of answers that name a path's methods: to OPTIONS, and to a method it lacks."""

INJECTED = ("served", "publication", "serving", "workers", "tokens", "signing_in")
"""What every handler may ask for; :func:`create_app` provides it."""


def create_app() -> ASGIApp:
    """Make the app as the environment says; a factory for ASGI servers.

    They must give header fields as tuples, and the path as it was sent, as uvicorn does.

    Raises:
        SystemExit: A setting is wrong; the sentence says which.
    """
    try:
        settings = Settings.from_environment()
        users = settings.auth.open_users()
    except SettingsError as error:
        raise SystemExit(str(error)) from None
    log.configure(settings.telemetry.format)
    hide(settings.auth.key.decode("latin-1"))
    for warning in settings.auth.warnings:
        logger.warning(warning)
    capacity = settings.capacity
    processes = Processes(
        settings.processes, HUNG_AFTER + settings.bounds.seconds, capacity.query_memory
    )
    serving = Serving(settings.store, counts.REQUIRED, processes, settings.bounds.seconds)
    pinned = Pinned(settings.store, processes, settings.bounds.seconds)
    traffic = Traffic(settings.sample)
    figures = Figures(traffic, serving, processes)
    workers = Workers.from_environment(figures.read)
    log.publication = lambda: serving.publication.manifest.number if serving.publication else None
    telemetry.send(settings.telemetry, "lead-marts-api")
    telemetry.observe(figures.read)
    tokens = Tokens(settings.auth.key, settings.auth.token_seconds, users)
    bearer = Bearer(tokens, users)
    signing_in = SigningIn(
        users,
        by_client=Limit("client", settings.auth.rate_client),
        by_user=Limit("user", settings.auth.rate_user),
    )

    def served(request: AnyRequest) -> OpenPublication | None:
        found: OpenPublication | None = request.scope["state"]["publication"]
        return found

    async def publication(request: AnyRequest) -> OpenPublication:
        found = served(request)
        if found is None:
            raise no_publication(serving.refusal.reason if serving.refusal else None)
        if request.scope["path"] not in PROBES:
            # What the framework did for the request took about as long as the handler will, so that
            # is a piece of its own; a probe is what others' pieces must not keep waiting.
            await processes.pace.turn()
        return found

    dependencies = {
        "served": Provide(served, sync_to_thread=False),
        "publication": Provide(publication),
        "serving": Provide(lambda: serving, sync_to_thread=False),
        "workers": Provide(lambda: workers, sync_to_thread=False),
        "tokens": Provide(lambda: tokens, sync_to_thread=False),
        "signing_in": Provide(lambda: signing_in, sync_to_thread=False),
    }
    origins = Origins(settings.cors_origins)
    guard = secure(settings.hsts_seconds)
    framework = Litestar(
        ROUTES,
        dependencies=dependencies,
        lifespan=[
            all_is_sent,
            processes.lifespan,
            serving.lifespan,
            pinned.lifespan,
            workers.lifespan,
        ],
        before_request=look_first,
        before_send=[
            allow_head,
            Protection(settings.hsts_seconds),
            origins.let_read,
            tell_caches,
        ],
        exception_handlers={Exception: answer_problem},
        state=AppState(
            {
                "template": skeleton(ROUTES, INJECTED),
                "examples": transformation.EXAMPLES,
                "bearer": bearer,
                "pinned": pinned,
                "bounds": settings.bounds,
            }
        ),
        openapi_config=None,
        logging_config=None,
    )
    most = settings.processes * (1 + capacity.queue)
    admission = Admission(framework, most, processes.pace, traffic, origins, guard)
    gate = Gate(Preflights(admission, origins, guard), origins, guard)
    app: ASGIApp = Hosts(gate, settings.hosts, guard) if settings.hosts else gate
    look_seldom()
    return HotPath(app, serving, bearer, traffic, admission.refuse)


@asynccontextmanager
async def all_is_sent(_app: Litestar) -> AsyncIterator[None]:
    """Send what was recorded before the server ends: servers end by a signal."""
    yield
    await asyncio.to_thread(telemetry.flush)


async def look_first(request: AnyRequest) -> None:
    """Refuse a request whose answer was found to have no coding that the client takes.

    Of any other it reads the lists that its query has.

    Raises:
        HTTPException: 406.
    """
    if not request.scope["state"].get("acceptable", True):
        raise no_coding()
    spread_lists(request)


async def allow_head(message: Message, _scope: Scope) -> None:
    """Say in ``Allow`` that HEAD works wherever GET does."""
    if message["type"] == "http.response.start" and message["status"] in ALLOWING:
        headers = MutableScopeHeaders.from_message(message)
        if "GET" in headers.get("allow", ""):
            headers["allow"] = headers["allow"].replace("GET", "GET, HEAD")
