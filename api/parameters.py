"""The parameters of a route: which it takes, and what is wrong with those that it got."""

import re
from collections.abc import Collection
from datetime import date
from difflib import get_close_matches
from http import HTTPStatus
from itertools import islice
from typing import Any, Literal, cast, get_origin

from litestar.exceptions import ClientException, ValidationException
from litestar.typing import FieldDefinition

from api.quoting import shown
from api.requests import AnyRequest

LONGEST_NAME = 40
"""Characters of a name that may be nearly one of ours: all of those are far shorter."""

MOST_UNKNOWN = 20
"""How many names are compared with ours where others are ignored: each takes its time."""

NEAR = 0.85
"""How much of two names is the same where one is nearly the other; `channel` and `channels` have
0.93, `utm_campaign` and `campaigns` 0.8."""

IN_BRACKETS = re.compile(
    rb"(?<![^&])(?P<name>[a-z_]+)(?:\[|%5B)\d{0,3}(?:\]|%5D)(?==)", re.IGNORECASE
)
"""The name of a repeated parameter as axios, jQuery and PHP write it."""

EXPECTED = {date: "a date; write it as 2025-01-31", bool: "true or false"}
"""What a parameter takes, by its type."""


def parameter(
    name: str,
    where: str,
    description: str,
    least: int | None = None,
    *,
    required: bool = False,
) -> dict[str, Any]:
    """Describe a parameter that a route reads by itself, for the OpenAPI document.

    Args:
        name: Its name.
        where: ``query`` or ``header``.
        description: What it is.
        least: Its least value, if it is a whole number; else it is text.
        required: Whether it must be given.
    """
    schema: dict[str, Any] = (
        {"type": "string"} if least is None else {"type": "integer", "minimum": least}
    )
    said = {"name": name, "in": where, "description": description, "schema": schema}
    return said | {"required": True} if required else said


def only_known_parameters(
    request: AnyRequest, known: tuple[str, ...], lists: Collection[str]
) -> None:
    """Refuse a query that says something the route does not know, or says one thing twice.

    Args:
        request: The request.
        known: The names that the route takes.
        lists: Those among them that may be repeated.

    Raises:
        ClientException: With a sentence that names the known ones.
    """
    for name in request.query_params:
        if name not in known:
            near = nearest(name, known)
            meant = f"did you mean {near}? The" if near else "the"
            raise ClientException(
                f"There is no parameter '{shown(name)}' here; {meant} known ones are "
                f"{', '.join(known)}."
            )
    single = [name for name in known if name not in lists]
    given_once(request, *single)
    refuse_null(request, *single)


def refuse_near_misses(request: AnyRequest, known: tuple[str, ...]) -> None:
    """Refuse a parameter whose name is nearly one that the route takes, where others are ignored.

    Only the first names that the route does not take are compared, which bounds the time.

    Args:
        request: The request.
        known: The names that the route takes.

    Raises:
        ClientException: With the status that the route has for wrong parameters.
    """
    unknown = (name for name in request.query_params if name not in known)
    for name in islice(unknown, MOST_UNKNOWN):
        if near := nearest(name, known):
            raise ClientException(
                f"There is no parameter '{shown(name)}' here; did you mean {near}?",
                status_code=status_of_invalid(request),
            )


def nearest(name: str, known: tuple[str, ...]) -> str | None:
    """Find the known name that somebody meant who wrote nearly it.

    ``pageSize``, ``page-size`` and ``start`` for ``start_date`` are nearly it, and so is what
    differs by a letter or two.

    Args:
        name: What was written.
        known: The names that the route takes.
    """
    if len(name) > LONGEST_NAME:
        return None
    for one in known:
        if name == one.removesuffix("_date"):
            return one
    bare = {_bare(one): one for one in known}
    found = get_close_matches(_bare(name), bare, n=1, cutoff=NEAR)
    return bare[found[0]] if found else None


def _bare(name: str) -> str:
    """A name's letters and digits, in small letters."""
    return re.sub(r"[\W_]", "", name).lower()


def spread_lists(request: AnyRequest) -> None:
    """Take ``name[]`` and ``name[0]`` for ``name``, as some clients repeat a parameter.

    It looks only at what the route says may be repeated: its ``opt`` as ``lists``.
    """
    query = request.scope["query_string"]
    if (b"[" in query or b"%5" in query) and (
        lists := request.route_handler.opt.get("lists", frozenset())
    ):

        def plain(found: re.Match[bytes]) -> bytes:
            return found["name"] if found["name"].decode() in lists else found[0]

        request.scope["query_string"] = IN_BRACKETS.sub(plain, query)


def given_once(request: AnyRequest, *names: str) -> None:
    """Refuse a query that says one thing twice.

    Args:
        request: The request.
        names: The parameters that may not be repeated.

    Raises:
        ClientException: With the status that the route has for wrong parameters.
    """
    for name in names:
        given = request.query_params.getall(name, [])
        if len(given) > 1:
            raise ClientException(
                f"The parameter {name} was given {len(given)} times; give one.",
                status_code=status_of_invalid(request),
            )


def refuse_null(request: AnyRequest, *names: str) -> None:
    """Refuse the word that Litestar takes for a parameter that was left out.

    Args:
        request: The request.
        names: The parameters that the route's signature has.

    Raises:
        ClientException: With the status that the route has for wrong parameters.
    """
    for name in names:
        given = request.query_params.get(name, "")
        if given.lower() == "null":
            raise ClientException(
                f"{name}={given} is not {_expected(_fields(request)[name])}.",
                status_code=status_of_invalid(request),
            )


def refuse_reversed(start: date | None, end: date | None) -> None:
    """Refuse a period that ends before it starts; one of a single day is one.

    The sentence begins as that of the service which this one replaces: clients look for it.

    Raises:
        ClientException: 400, on every route.
    """
    if start and end and start > end:
        raise ClientException(
            f"End date should be greater than start date or equal to it: {end} is before {start}."
        )


def status_of_invalid(request: AnyRequest) -> int:
    """What a wrong parameter is on this route: what its ``opt`` says as ``invalid``, or 400."""
    status: int = request.route_handler.opt.get("invalid", HTTPStatus.BAD_REQUEST)
    return status


def describe_invalid(request: AnyRequest, error: ValidationException) -> str:
    """Say which parameters are wrong, and what they could be."""
    fields = {field.name: field for field in _fields(request).values()}
    sentences = []
    for entry in cast("list[dict[str, str]]", error.extra):
        field = fields[entry["key"]]
        name = _name(field)
        given = ", ".join(request.query_params.getall(name, []))
        sentences.append(f"{name}={shown(given)} is not {_expected(field)}.")
    return " ".join(sentences)


def _fields(request: AnyRequest) -> dict[str, FieldDefinition]:
    """What the request's route takes, by the parameters' names."""
    handler = request.route_handler
    signatures = [
        handler.parsed_fn_signature,
        *(kind.parsed_fn_signature for kind in handler.resolve_dependencies().values()),
    ]
    return {
        _name(field): field for signature in signatures for field in signature.parameters.values()
    }


def _name(field: FieldDefinition) -> str:
    """A parameter's name in a query, which may be another than in Python."""
    return getattr(field.kwarg_definition, "name", None) or field.name


def _expected(field: FieldDefinition) -> str:
    """Say in words what a parameter takes."""
    kind = field
    while kind.inner_types and get_origin(kind.annotation) is not Literal:
        kind = kind.inner_types[0]  # of a list, or of what may be left out
    if get_origin(kind.annotation) is Literal:
        return "among " + ", ".join(kind.annotation.__args__)
    if kind.annotation is int:
        least, most = (getattr(field.kwarg_definition, bound) for bound in ("ge", "le"))
        upwards = f"a whole number, {least} or more"
        return upwards if most is None else f"a whole number from {least} to {most}"
    return EXPECTED[kind.annotation]
