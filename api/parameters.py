"""The parameters of a route: which it takes, and what is wrong with those that it got."""

from datetime import date
from http import HTTPStatus
from typing import Any, Literal, cast, get_origin

from litestar.exceptions import ClientException, ValidationException
from litestar.typing import FieldDefinition

from api.quoting import shown
from api.requests import AnyRequest

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


def only_known_parameters(request: AnyRequest, known: tuple[str, ...], lists: set[str]) -> None:
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
            raise ClientException(
                f"There is no parameter '{shown(name)}' here; "
                f"the known ones are {', '.join(known)}."
            )
    single = [name for name in known if name not in lists]
    given_once(request, *single)
    refuse_null(request, *single)


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
