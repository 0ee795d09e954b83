"""Lines to read and lines of JSON, whoever writes them."""

import json
import logging

import pytest
from loguru import logger

from telemetry import log, span

FORGED = "x\n12:00:00 ERROR    forged\x1b[2J"


@pytest.fixture(autouse=True)
def as_before():
    """Leave the log of the tests as it was."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logger.remove()
    logger.configure(patcher=lambda record: None)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def fail(saying=FORGED):
    raise ValueError(saying)


def write_all():
    """Write the same to the log in each way there is."""
    logger.bind(path=FORGED).info("told of {}", FORGED)
    logging.getLogger("httpx").warning("told of %s", FORGED)
    try:
        fail()
    except ValueError:
        logger.opt(exception=True).error("A request failed.")


@pytest.mark.parametrize("layout", ["text", "json"])
def test_no_line_can_be_forged(layout, capfd):
    log.configure(layout)
    write_all()
    said = capfd.readouterr().err
    assert "\x1b" not in said
    assert said.replace("\n", "").isprintable()
    lines = said.splitlines()
    begun = [line for line in lines if not line.startswith("    ")]
    assert len(begun) == 3
    assert not any(line.startswith("12:00:00 ERROR    forged") for line in lines)


def test_lines_of_json_say_what_they_belong_to(capfd, monkeypatch):
    monkeypatch.setattr(log, "publication", lambda: 7)
    log.configure("json")
    logger.info("alone")
    with span("work") as work, logger.contextualize(request_id="r-1", publication=6):
        write_all()
    alone, *others = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert (alone["request_id"], alone["trace_id"], alone["publication"]) == (None, None, 7)
    assert len(others) == 3
    for line in others:
        assert (line["request_id"], line["publication"]) == ("r-1", 6)
        assert line["trace_id"] == work.trace.trace_id
    assert others[1]["logger"] == "httpx"
    assert "ValueError" in others[2]["exception"]


@pytest.mark.parametrize("layout", ["text", "json"])
def test_no_secret_is_told_in_any_part_of_a_line(layout, capfd):
    log.configure(layout)
    secret = "Bearer abcdefghijklmnopqrst"
    logger.bind(header=secret).warning("got {}", secret)
    logging.getLogger("notion_client").warning("got %s", secret)
    try:
        fail(secret)
    except ValueError:
        logger.opt(exception=True).error("It failed.")
    assert "abcdefgh" not in capfd.readouterr().err


def test_a_command_that_speaks_to_people_writes_only_what_libraries_warn_of(capfd):
    log.configure("text", people=True)
    logger.error("said in its own words already")
    logging.getLogger("httpx").info("GET http://127.0.0.1")
    logging.getLogger("opentelemetry.exporter").error("no collector", exc_info=ValueError("x"))
    (line,) = capfd.readouterr().err.splitlines()
    assert "WARNING" in line
    assert "no collector" in line
