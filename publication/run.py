"""What dbt says of a run that may be published: two JSON texts of the macro ``publish``."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import msgspec
import yaml

from publication.errors import DraftRejected
from publication.manifest import Build, Draft, MartDraft, Source, TestStatus

META = {
    "grain": "a list of its columns, such as [week_start]",
    "scope": "a text, such as marketing:read",
}
"""What a mart's ``config.meta`` says, where dbt takes anything."""

IN_COLUMN = re.compile(
    r"\$\.marts\[(?P<place>\d+)\]\.columns\[(?P<column>\d+)\]\.personal_data_allowed\b"
)
IN_META = re.compile(rf"\$\.marts\[(?P<place>\d+)\]\.(?P<key>{'|'.join(META)})\b")
"""The place of a mistake in ``config.meta`` of a column or a mart, as msgspec writes it."""


class BuiltMart(MartDraft, frozen=True, kw_only=True):
    """A mart and the table of the warehouse that holds it.

    Attributes:
        relation: Its quoted name, ``"warehouse"."marts"."channel_sales_weekly"``.
        keys: What its ``config`` and ``config.meta`` have, such as ``config.meta.grain``.
        model: Its name in YAML, which an alias may differ from.
        file: The file of YAML that describes it, as dbt names it: ``lead_marts://models/a.yml``.
        cut: The columns with keys in YAML that dbt does not know and that have no value.
    """

    relation: str
    keys: tuple[str, ...]
    model: str = ""
    file: str | None = None
    cut: tuple[tuple[str, str], ...] = ()


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What the macro ``publish`` says of a dbt run that may be published.

    Attributes:
        project_dir: The folder of ``dbt_project.yml``, which says the version.
        command: ``dbt run`` or ``dbt build``.
        full_refresh: Whether nothing of an earlier publication is to be reused.
        tests: See :class:`publication.manifest.Build`.
    """

    project_dir: str
    invocation_id: str
    command: str
    tests: TestStatus
    marts: tuple[BuiltMart, ...]
    full_refresh: bool = False

    def draft(self, sources: tuple[Source, ...]) -> Draft:
        """Complete it with what dbt's macros cannot know."""
        return Draft(
            build=Build(
                invocation_id=self.invocation_id,
                command=self.command,
                project_version=_project_version(Path(self.project_dir)),
                git_commit=_git_commit(Path(self.project_dir)),
                tests=self.tests,
            ),
            sources=sources,
            marts=self.marts,
        )


def decode(run: str, sources: str) -> tuple[Run, tuple[Source, ...]]:
    """Read what the macro ``publish`` hands over as two JSON texts.

    Raises:
        DraftRejected: Something in them is not what it should be, such as a grain that is no list.
    """
    try:
        return (
            msgspec.json.decode(run, type=Run),
            msgspec.json.decode(sources, type=tuple[Source, ...]),
        )
    except msgspec.MsgspecError as error:
        if found := IN_META.search(str(error)):
            name = json.loads(run)["marts"][int(found["place"])]["name"]
            raise DraftRejected(
                f'The {found["key"]} of mart "{name}" is not {META[found["key"]]}; mend '
                f"config.meta.{found['key']} in its YAML."
            ) from error
        if found := IN_COLUMN.search(str(error)):
            mart = json.loads(run)["marts"][int(found["place"])]
            column = mart["columns"][int(found["column"])]["name"]
            raise DraftRejected(
                f'Column "{column}" of mart "{mart["name"]}" has a config.meta.'
                "personal_data_allowed that is no text; write there why everyone who may read the "
                "mart may see the column."
            ) from error
        raise DraftRejected(
            f"What dbt says of the run is not as it should be ({error}); look at the marts' YAML "
            "and the table of sources."
        ) from error


def _project_version(folder: Path) -> str:
    project = yaml.safe_load((folder / "dbt_project.yml").read_text(encoding="utf-8"))
    return str(project.get("version") or "")


def _git_commit(folder: Path) -> str | None:
    """The commit that is checked out in a folder, ``-dirty`` behind it where files differ from it.

    A file that git was not told of counts, as a new model is one; what it is to ignore does not.
    None where git or a repository is missing.
    """
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=normal", "--", ".")
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit}-dirty" if changed else commit


def _git(folder: Path, *arguments: str) -> str:
    answer = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
    )
    return answer.stdout.strip()
