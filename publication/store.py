"""The folder of publications as its writers see it: stage, publish, roll back."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import msgspec

from publication import clock, durable, shelf, staging
from publication.archive import Archive
from publication.completion import complete
from publication.digest import RULE, content_digest
from publication.errors import PlaceUnusable, PointerBroken, RollbackPointless
from publication.inspection import sha256, verify
from publication.manifest import Draft, Manifest, Mart, Pointer
from publication.places import unusable
from publication.properties import check_properties
from publication.repair import removed, repaired
from publication.settings import Settings
from telemetry import traceparent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

READ_ONLY = 0o444
"""For everyone: nobody can take DuckDB's write lock on such a file."""


def _print_error(text: str) -> None:
    sys.stderr.write(f"{text}\n")


@dataclass(frozen=True)
class Store(Archive):
    """A folder of publications, to read and to publish in.

    Publishing and rolling back take turns, also between processes.

    Attributes:
        folder: Where the files, manifests and the pointer are; made when first needed.
        link: The stable path for analysts, a symbolic link to the current file; or none.
        keep: How many of the newest publications are kept, whatever their age; at least 1.
        keep_for: What was published less than this ago is kept, however many there are.
        warn: Hears, in a sentence, what failed after a publication was made. Standard error by
            default.
    """

    link: Path | None = None
    keep: int = 5
    keep_for: timedelta = timedelta(hours=1)
    warn: Callable[[str], None] = field(default=_print_error, repr=False, compare=False)

    @classmethod
    def from_environment(cls) -> Store:
        """Take the places and limits from the environment (see :mod:`publication.settings`).

        Raises:
            SettingInvalid: A limit is no number, or out of range.
        """
        return cls.of(Settings.read({}))

    @classmethod
    def of(cls, settings: Settings, warn: Callable[[str], None] = _print_error) -> Store:
        """Take the places and limits from settings that were read already."""
        return cls(settings.folder, settings.link, settings.keep, settings.keep_for, warn)

    def stage(self, invocation_id: str) -> Path:
        """Make an empty DuckDB file to build in: a fresh, unique path below the folder.

        Left-overs of crashed builders are removed. The file is this process's own until
        :meth:`publish` takes it, :meth:`discard` removes it, or the process ends.

        Args:
            invocation_id: dbt's, for people who look at the folder.

        Raises:
            PlaceUnusable: The folder cannot be written.
        """
        with self._alone():
            for sentence in self._repaired():  # before left-overs fill the disk that we need
                self.warn(sentence)
            return staging.create(self._staging, invocation_id)

    def repair(self) -> list[str]:
        """Put right what runs have left that did not end; publishing does so too.

        Returns:
            What that was, and what nobody but people can put right, in a sentence each.

        Raises:
            PlaceUnusable: The folder or the link cannot be written.
        """
        with self._alone():
            return self._repaired()

    def discard(self, staged: Path) -> None:
        """Remove a staged file that will not be published."""
        staging.release(staged)

    def publish(
        self,
        staged: Path,
        draft: Draft,
        *,
        reused: Iterable[Mart] = (),
        instance: duckdb.DuckDBPyConnection | None = None,
    ) -> Manifest:
        """Check and finish a staged file, and make it the current publication.

        A crash at any point leaves the old publication current or the new one, both whole. An
        error means that the old one still is, and that nothing of the new one is left.
        Content equal to the current one's is published too, under a new number: the run, its
        sources or its tests are new.

        Args:
            staged: From :meth:`stage`, with the marts as tables of ``main``; nobody has it open.
                It is gone afterwards, published or not.
            draft: What dbt knows of the run and the marts.
            reused: The marts that lie in the file as an earlier publication has them.
            instance: A connection to the instance of DuckDB that works on the file, within its
                memory and threads; one of our own if not given.

        Raises:
            DraftRejected: The file or the draft is not what a publication has to be.
            PlaceUnusable: The folder or the link cannot be written.
        """
        try:
            check_properties(draft.marts)
            built_at = datetime.now(UTC)
            marts = complete(staged, draft, built_at, reused, instance)
            digest = content_digest(marts)
            with self._alone():
                number = self._next_number()
                manifest = Manifest(
                    number=number,
                    file=shelf.name(number, digest),
                    digest=digest,
                    sha256=sha256(staged),
                    built_at=built_at,
                    published_at=datetime.now(UTC),
                    rolled_back_to=None,
                    build=draft.build,
                    sources=tuple(sorted(draft.sources, key=lambda source: source.name)),
                    marts=marts,
                    traceparent=traceparent(),
                    rule=RULE,
                )
                staged.chmod(READ_ONLY)
                durable.sync(staged)
                self._make_current(manifest, staged.rename)
                return manifest
        finally:
            staging.release(staged)

    def rollback(self, number: int) -> Manifest:
        """Publish a kept publication's content again, under the next number.

        A lost or damaged pointer is no obstacle: this is one of the ways to put it right.

        Raises:
            RollbackPointless: It is the current one already.
            PublicationBroken: Its file or manifest is damaged.
            PublicationGone: It is not kept any more.
            PublicationNotYet: It was not published so far.
            PlaceUnusable: The folder or the link cannot be written.
        """
        known = self._known_pointer()
        if known is not None and known.number == number:
            raise RollbackPointless(f"Publication {number} is current already.")
        upto = known.number if known else shelf.highest(self.folder)
        old = self.manifest(number, upto)
        verify(self.path(old), old)
        with self._alone():
            self.manifest(number, upto)  # it may have been removed while we read it whole
            following = self._next_number()
            new = msgspec.structs.replace(
                old,
                number=following,
                file=shelf.name(following, old.digest),
                published_at=datetime.now(UTC),
                rolled_back_to=number,
                traceparent=traceparent(),
            )
            self._make_current(new, partial(durable.repeat, self.path(old)))
            return new

    @property
    def _staging(self) -> Path:
        return self.folder / ".staging"

    def _known_pointer(self) -> Pointer | None:
        try:
            return self.pointer()
        except PointerBroken:
            return None

    def _repaired(self) -> list[str]:
        return repaired(self.folder, self._staging, self.link, self._known_pointer())

    def _next_number(self) -> int:
        """One more than the highest ever seen, and no half publication left to confuse it with.

        The link still names the last one where somebody deleted all that is in the folder.
        """
        pointer = self._known_pointer()
        linked = Path(os.path.realpath(self.link or self.folder))
        highest = max(
            pointer.number if pointer else 0,
            shelf.highest(self.folder),
            (linked.parent == self.folder.resolve() and shelf.number(linked.name)) or 0,
        )
        if left := shelf.remove_halves(self.folder, pointer):
            self.warn(removed(left))
        return highest + 1

    def _make_current(self, manifest: Manifest, place: Callable[[Path], object]) -> None:
        """Put the file in its place, then the manifest, then the pointer, then what follows.

        What fails before the pointer is replaced is undone; what fails after it is no more than
        a warning, since the publication is made.
        """
        entry = shelf.Entry(manifest.number, self.path(manifest))
        pointer = Pointer(number=manifest.number, file=manifest.file, digest=manifest.digest)
        current = self.folder / "current.json"
        with ExitStack() as prepared:
            try:
                place(entry.file)
                durable.write(entry.manifest, _encode(manifest), READ_ONLY)
                link = self.link and prepared.enter_context(
                    durable.prepared_link(self.link, entry.file)
                )
                new = prepared.enter_context(durable.prepared(current, _encode(pointer), 0o644))
                new.replace(current)
            except OSError:
                entry.remove()
                raise
            self._follow(manifest.number, link)

    def _follow(self, number: int, link: Path | None) -> None:
        """With the pointer replaced: make it last, move the link, remove what is old."""
        failures = []
        try:
            durable.sync(self.folder)
            if self.link is not None and link is not None:
                link.replace(self.link)
                durable.sync(self.link.parent)
        except OSError as error:
            failures.append(error)
        try:
            note = clock.follow(self.folder, number)  # else nothing's age is known
            moved = note.moved if note else {}
            failures += shelf.remove_old(self.folder, number, self.keep, self.keep_for, moved)
            if note:
                clock.write(self.folder, note)
        except OSError as error:
            failures.append(error)
        if failures:
            self.warn(
                f"Published {number}, but not all that follows could be done: "
                f"{'; '.join(map(str, failures))}. The next publication tries again."
            )

    def _waiting(self, holder: str) -> None:
        self.warn(
            f"Waiting for {holder}, which publishes or rolls back in {self.folder}; "
            "this goes on when that one has ended."
        )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the folder's lock; a failure of the file system becomes a sentence."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if self.link is not None:
                self.link.parent.mkdir(parents=True, exist_ok=True)
                if self.link.exists() and not self.link.is_symlink():
                    raise PlaceUnusable(
                        f"{self.link} is no symbolic link, and nothing may be lost: "
                        "move it away, then publish again."
                    )
            with durable.exclusive(self.folder / ".lock", self._waiting):
                yield
        except (OSError, duckdb.IOException) as error:
            raise unusable(f"The publications in {self.folder}", error) from error


def _encode(document: msgspec.Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document)) + b"\n"
