"""The folder of publications as its readers see it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003 a dataclass field

import msgspec

from publication import shelf
from publication.errors import (
    PlaceUnusable,
    PointerBroken,
    PublicationBroken,
    PublicationGone,
    PublicationNotYet,
)
from publication.inspection import verify
from publication.manifest import Manifest, Pointer


@dataclass(frozen=True)
class Archive:
    """A folder of publications, to read.

    Reading needs no lock: files never change, and the pointer is replaced in one step. If the
    pointer was lost, all that is kept counts as published, and nothing is current.

    Attributes:
        folder: Where the files, manifests and the pointer are; it need not exist.
    """

    folder: Path
    _listing: shelf.Listing = field(
        default_factory=shelf.Listing, init=False, repr=False, compare=False
    )

    def pointer(self) -> Pointer | None:
        """Which publication is current, or none if nothing was published yet.

        Raises:
            PlaceUnusable: The folder is something else.
            PointerBroken: ``current.json`` is there but cannot be read.
        """
        path = self.folder / "current.json"
        try:
            pointer = msgspec.json.decode(path.read_bytes(), type=Pointer)
            _check(shelf.number(pointer.file) == pointer.number, pointer.file)
        except FileNotFoundError:
            return None
        except NotADirectoryError as error:
            raise PlaceUnusable(
                f"{self.folder} is no folder; move away what is there, "
                "or set LEADMARTS_PUBLICATIONS to another place."
            ) from error
        except (OSError, msgspec.MsgspecError) as error:
            raise PointerBroken(
                f"{path} cannot be read: {error}; the next `dbt build` replaces it, "
                "and so does `python -m publication rollback N`."
            ) from error
        return pointer

    def current(self) -> Manifest | None:
        """What the current publication says of itself, or none if nothing was published yet.

        Raises:
            PointerBroken: ``current.json`` is there but cannot be read.
            PublicationBroken: The manifest it names is missing or damaged.
        """
        while (pointer := self.pointer()) is not None:
            path = (self.folder / pointer.file).with_suffix(".json")
            try:
                return _decode(path)
            except FileNotFoundError as error:
                if pointer == self.pointer():  # else it moved on while we looked
                    raise PublicationBroken(
                        f"The manifest of the current publication, {path}, is missing; "
                        "run `dbt build`, or `python -m publication rollback N`."
                    ) from error
        return None

    def manifest(self, number: int, upto: int | None = None) -> Manifest:
        """What one publication says of itself.

        Args:
            number: The publication's.
            upto: The highest number that counts as published; the current one if not given.

        Raises:
            PublicationGone: It was published once, but is not kept any more.
            PublicationNotYet: The number is higher than ``upto``, or below 1.
            PublicationBroken: Its manifest is damaged.
            PointerBroken: ``current.json`` is needed and there, but cannot be read.
        """
        highest = self._published() if upto is None else upto
        if highest == 0:
            raise PublicationNotYet(
                f"There is no publication {number}: nothing was published yet; "
                "run `dbt build` or `make run`."
            )
        if not 1 <= number <= highest:
            raise PublicationNotYet(
                f"There is no publication {number}: they go from 1 to {highest}."
            )
        if name := self._listing.names(self.folder).get(number):
            with suppress(FileNotFoundError):
                return _decode(self.folder / name)
        raise PublicationGone(number)

    def manifests(self, upto: int | None = None) -> list[Manifest]:
        """The kept publications, newest first; none if nothing was published yet.

        A damaged manifest is passed over; :meth:`survey` says which.

        Args:
            upto: The highest number that counts as published; the current one if not given.

        Raises:
            PointerBroken: ``current.json`` is needed and there, but cannot be read.
        """
        return self.survey(upto)[0]

    def page(self, offset: int, count: int, upto: int | None = None) -> tuple[list[Manifest], int]:
        """Some of the kept publications, newest first, and how many there are in all.

        Only the manifests of these are read. A damaged one is passed over.

        Args:
            offset: How many newer ones come before.
            count: How many manifests to read at most.
            upto: As for :meth:`manifests`.

        Raises:
            PointerBroken: ``current.json`` is needed and there, but cannot be read.
        """
        highest = self._published() if upto is None else upto
        listed = self._listing.names(self.folder)
        names = [name for its, name in listed.items() if its <= highest]
        whole = []
        for name in names[offset : offset + count]:
            with suppress(FileNotFoundError, PublicationBroken):
                whole.append(_decode(self.folder / name))
        return whole, len(names)

    def survey(self, upto: int | None = None) -> tuple[list[Manifest], list[PublicationBroken]]:
        """The kept publications, newest first, and what is wrong with those that are damaged.

        Args:
            upto: As for :meth:`manifests`.

        Raises:
            PointerBroken: ``current.json`` is needed and there, but cannot be read.
        """
        highest = self._published() if upto is None else upto
        whole, broken = [], []
        for entry in shelf.entries(self.folder):
            if entry.number <= highest:
                try:
                    whole.append(_decode(entry.manifest))
                except FileNotFoundError:
                    continue  # removed since, or a half that the next publisher removes
                except PublicationBroken as error:
                    broken.append(error)
        return whole, broken

    def path(self, manifest: Manifest) -> Path:
        """Where a publication's file is, by its own name."""
        return self.folder / manifest.file

    def verify(self, number: int) -> None:
        """Read a publication whole and compare it with what its manifest says.

        Raises:
            PublicationBroken: Its bytes, mode, tables, rows or content are not as they were.
            PublicationGone: It is not kept any more.
            PublicationNotYet: It was not published so far.
            PointerBroken: ``current.json`` is there but cannot be read.
        """
        manifest = self.manifest(number)
        verify(self.path(manifest), manifest)

    def _published(self) -> int:
        """The highest number that was published; 0 if none was."""
        pointer = self.pointer()
        return shelf.highest(self.folder) if pointer is None else pointer.number


def _decode(path: Path) -> Manifest:
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
        beside = path.with_suffix(".duckdb").name
        _check(manifest.file == beside and shelf.number(beside) == manifest.number, manifest.file)
    except FileNotFoundError:
        raise
    except (OSError, msgspec.MsgspecError) as error:
        raise PublicationBroken(
            f"The manifest {path} cannot be read: {error}; run `dbt build` to publish anew."
        ) from error
    return manifest


def _check(right: bool, file: str) -> None:
    if not right:
        raise msgspec.ValidationError(f"{file!r} is not the name of its file")
