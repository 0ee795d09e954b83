"""The written-out OpenAPI documents are what the app serves for the demo lake."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.pipeline.conftest import Project

ROOT = Path(__file__).parents[2]
CHROMIUM = Path("/usr/bin/chromium")

MAKE = "run `make openapi` and commit what it writes"


@pytest.fixture(scope="module")
def demo(made_once: Callable[..., Path], project_in: Callable[..., Project]) -> Project:
    """The project after what `make openapi` does before it writes."""

    def make(folder: Path) -> None:
        project = project_in(folder / "data")
        options = re.search(r"^DEMO := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
        for command in (["python", "-m", "lake", "demo", *options.split()], ["dbt", "build"]):
            done = project.run(*command)
            assert done.returncode == 0, done.stdout

    return project_in(made_once("demo", make) / "data")


def test_the_yaml_is_what_is_served(demo: Project) -> None:
    with demo.api() as client:
        served = client.get("/openapi.yaml").text
    assert (ROOT / "docs" / "openapi.yaml").read_text() == served, MAKE


def test_examples_are_of_the_demo_lake(demo: Project) -> None:
    documented = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())["paths"]
    compared = 0
    with demo.api() as client:
        demo_user = ("marketing_op", "marketing_op_supersecret")
        token = client.get("/api/auth/token/", auth=demo_user).json()["data"]["token"]
        headers = {"Authorization": f"Bearer {token}"}
        for path, methods in documented.items():
            content = methods.get("get", {"responses": {"200": {}}})["responses"]["200"]
            example = content.get("content", {}).get("application/json", {}).get("example")
            if path.startswith("/api/marketing/"):
                answer = client.get(
                    path, params={"page_size": len(example["data"])}, headers=headers
                )
                assert answer.json() == example, path
                compared += 1
            elif example is not None:
                assert client.get(path).json()[-2:] == example, path
                compared += 1
    assert compared == 6


def test_both_files_are_what_is_written_now(demo: Project, tmp_path: Path) -> None:
    done = demo.run("python", "-m", "api", "openapi", str(tmp_path))
    assert done.returncode == 0, done.stdout
    for name in ("openapi.yaml", "openapi.html"):
        assert (tmp_path / name).read_bytes() == (ROOT / "docs" / name).read_bytes(), MAKE


def test_without_a_publication_there_is_a_sentence(project: Project, tmp_path: Path) -> None:
    done = project.run("python", "-m", "api", "openapi", str(tmp_path))
    assert done.returncode == 1
    assert "There is no publication in" in done.stdout
    assert done.stdout.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser: there is no {CHROMIUM}")
def test_the_page_needs_nothing_but_itself() -> None:
    asked: list[str] = []
    told: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND"],
        )
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: told.append(message.text))
        page.on("pageerror", lambda error: told.append(str(error)))
        url = (ROOT / "docs" / "openapi.html").as_uri()
        page.goto(url)
        for name in ("countDatesByWeek", "listChannelWeeks", "postToken"):
            page.locator(f"[id$='-{name}']").wait_for()
        page.locator("[id$='-listChannelWeeks'] .opblock-summary-control").click()
        page.locator("[id$='-listChannelWeeks'] .example").first.wait_for()
        assert "week" in page.locator("[id$='-listChannelWeeks'] .example").first.inner_text()
        browser.close()
    assert told == []
    assert [one for one in asked if not one.startswith("data:")] == [url]
