"""A Delta table of leads beside a plain account of the same leads, which knows every version."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from lake import places
from lake.exchange import exchange

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

EVENTS = (
    "date_prise_contact",
    "date_reponse_prospect",
    "date_appel_propose",
    "date_appel_booke",
    "date_relance",
)
FEED = "delta.enableChangeDataFeed"
PARIS = ZoneInfo("Europe/Paris")
MATCH = "t.id = s.id"

Lead = dict[str, Any]
Leads = dict[str, Lead]


def count(leads: Leads) -> Counter[tuple[str, date]]:
    """Count by event and day, as the project's documents say: with none of its code."""
    counted: Counter[tuple[str, date]] = Counter()
    for lead in leads.values():
        for event in EVENTS:
            day = lead[event]
            if day is not None and not lead["deleted"]:
                if isinstance(day, datetime):
                    day = day.astimezone(PARIS).date()
                counted[event, day] += 1
    return counted


@dataclass
class KeptLeads:
    """A table, and what is in each of its versions by our own account.

    Attributes:
        folder: Where the table is.
        chance: Decides everything that is not said.
        zoned: Whether events are moments, not days.
        partitioned: Whether the table is partitioned by an attribute.
    """

    folder: Path
    chance: Random
    zoned: bool = False
    partitioned: bool = False
    leads: Leads = field(default_factory=dict)
    versions: dict[int, Leads] = field(default_factory=dict)
    made: int = 0
    aside: dict[int, Leads] | None = None

    @property
    def table(self) -> DeltaTable:
        return DeltaTable(self.folder)

    @property
    def version(self) -> int:
        return self.table.version()

    def _noted(self) -> None:
        """Note what the newest version has; versions before it that went unseen have it too."""
        for version in range(max(self.versions, default=-1) + 1, self.version + 1):
            self.versions[version] = {**self.leads}

    def _lead(self, identity: str) -> Lead:
        lead: Lead = {"id": identity}
        for event in EVENTS:
            day = date(2025, 3, 28) + timedelta(self.chance.randrange(4))
            moment = datetime.combine(day, time(self.chance.choice([0, 12, 22, 23])), UTC)
            happened = self.chance.random() < 0.7
            lead[event] = (moment if self.zoned else day) if happened else None
        lead["deleted"] = self.chance.choice([None, False, False, False, True])
        lead["origin"] = self.chance.choice("ab")
        return lead

    def _new(self) -> Lead:
        self.made += 1
        return self._lead(f"lead-{self.made}")

    def _some(self) -> list[str]:
        known = sorted(self.leads)
        return self.chance.sample(known, min(len(known), self.chance.randint(1, 4)))

    def _rows(self, leads: list[Lead], **further: pa.DataType) -> pa.Table:
        event = pa.timestamp("us", tz="UTC") if self.zoned else pa.date32()
        columns = [("id", pa.string()), *((name, event) for name in EVENTS)]
        columns += [("deleted", pa.bool_()), ("origin", pa.string()), *further.items()]
        return pa.Table.from_pylist(leads, pa.schema(columns))

    def make(self, *, feed: bool = True) -> None:
        """Make the table anew, where there may be one."""
        shutil.rmtree(self.folder, ignore_errors=True)
        leads = [self._new() for _ in range(self.chance.randint(0, 8))]
        write_deltalake(
            self.folder,
            self._rows(leads),
            configuration={FEED: "true" if feed else "false"},
            partition_by=["origin"] if self.partitioned else None,
        )
        self.leads, self.versions = {lead["id"]: lead for lead in leads}, {}
        self._noted()

    def insert(self) -> None:
        leads = [self._new() for _ in range(self.chance.randint(1, 5))]
        write_deltalake(self.folder, self._rows(leads), mode="append", schema_mode="merge")
        self.leads |= {lead["id"]: lead for lead in leads}
        self._noted()

    def widen(self) -> None:
        """Insert leads that have an attribute that no lead had."""
        lead, name = self._new(), f"attribute_{self.made}"
        rows = self._rows([lead | {name: 1}], **{name: pa.int64()})
        write_deltalake(self.folder, rows, mode="append", schema_mode="merge")
        self.leads |= {lead["id"]: lead}
        self._noted()

    def merge(self) -> None:
        """Update some leads and insert others."""
        leads = [self._lead(one) for one in self._some()] + [self._new()]
        if self.partitioned:  # a lead stays where it is
            for lead in leads:
                lead["origin"] = self.leads.get(lead["id"], lead)["origin"]
        merged = self.table.merge(self._rows(leads), MATCH, source_alias="s", target_alias="t")
        merged.when_matched_update_all().when_not_matched_insert_all().execute()
        self.leads |= {lead["id"]: lead for lead in leads}
        self._noted()

    def exchange(self) -> None:
        """Update some leads and insert others, as our own loads do in a large table."""
        leads = [self._lead(one) for one in self._some()] + [self._new()]
        exchange(places.at(str(self.folder)), self.table, self._rows(leads), "id")
        self.leads |= {lead["id"]: lead for lead in leads}
        self._noted()

    def delete(self) -> None:
        chosen = self._some() or ["nobody"]
        self.table.delete(f"id in ({', '.join(repr(one) for one in chosen)})")
        self.leads = {one: lead for one, lead in self.leads.items() if one not in chosen}
        self._noted()

    def flag(self) -> None:
        """Say of some leads that they are deleted, or are not."""
        deleted, chosen = self.chance.choice([True, False, None]), self._some() or ["nobody"]
        named = ", ".join(repr(one) for one in chosen)
        value = "null" if deleted is None else str(deleted)
        self.table.update(updates={"deleted": value}, predicate=f"id in ({named})")
        self.leads |= {
            one: self.leads[one] | {"deleted": deleted} for one in chosen if one in self.leads
        }
        self._noted()

    def overwrite(self) -> None:
        """Replace all rows in one version, and perhaps all columns."""
        leads = [self._lead(one) for one in self._some()] + [self._new()]
        columns = self.chance.choice(["merge", "overwrite"])
        write_deltalake(self.folder, self._rows(leads), mode="overwrite", schema_mode=columns)
        self.leads = {lead["id"]: lead for lead in leads}
        self._noted()

    def compact(self) -> None:
        self.table.optimize.compact()
        self._noted()

    def order(self) -> None:
        self.table.optimize.z_order(["id"])
        self._noted()

    def vacuum(self) -> None:
        """Remove every file that the newest version does not need, the feed's included."""
        self.table.vacuum(0, dry_run=False, enforce_retention_duration=False, full=True)
        self._noted()

    def forget(self) -> None:
        """Clean the log up, as after a month: a checkpoint, and no entry before it."""
        self.table.create_checkpoint()
        for version in range(self.version):
            (self.folder / "_delta_log" / f"{version:020}.json").unlink(missing_ok=True)

    def restore(self) -> None:
        """Go back to an older version by a new one, if its files are still there."""
        past = self.chance.choice(sorted(self.versions))
        try:
            self.table.restore(past)
        except Exception:  # noqa: BLE001 - vacuumed or forgotten, said in many ways
            return
        self.leads = {**self.versions[past]}
        self._noted()

    def feed_off(self) -> None:
        self.table.alter.set_table_properties({FEED: "false"})
        self._noted()

    def feed_on(self) -> None:
        self.table.alter.set_table_properties({FEED: "true"})
        self._noted()

    def back_up(self) -> None:
        """Copy the whole folder aside."""
        shutil.rmtree(self.folder.with_name("backup"), ignore_errors=True)
        shutil.copytree(self.folder, self.folder.with_name("backup"))
        self.aside = {**self.versions}

    def put_back(self) -> None:
        """Put the copy in the table's place: the same table, whose history goes on differently."""
        if self.aside is not None:
            shutil.rmtree(self.folder)
            shutil.copytree(self.folder.with_name("backup"), self.folder)
            self.versions = {**self.aside}
            self.leads = {**self.versions[max(self.versions)]}
            self._noted()


CHANGES = ("insert", "merge", "exchange", "delete", "flag", "overwrite", "widen")
UPKEEP = ("compact", "order", "vacuum", "forget", "feed_off", "feed_on")
UPHEAVALS = ("make", "restore", "back_up", "put_back")
