"""The errors of the publication room.

PublicationError
├── SettingInvalid       a setting from the environment or the profile cannot be used
├── PlaceUnusable        a folder, file or link cannot be read or written where it must be
├── DraftRejected        what a run hands over is not what a publication has to be
├── PointerBroken        current.json is there, but does not say which publication is current
├── PublicationBroken    a publication's file or manifest is damaged or missing
│   └── PublicationHeld  another program has the file open for writing, as only root can
├── PublicationGone      the number was published, but its publication was removed
├── PublicationNotYet    the number was not published so far
├── RollbackPointless    the number to roll back to is current already
└── WarehouseBusy        another process holds the file that dbt builds in
"""


class PublicationError(Exception):
    """Something a person can put right; its text is one sentence that says what and how."""


class SettingInvalid(PublicationError):
    """A setting from the environment or the profile cannot be used."""


class PlaceUnusable(PublicationError):
    """A folder, file or link cannot be read or written where it must be."""


class DraftRejected(PublicationError):
    """What a run hands over is not what a publication has to be; nothing was published."""


class PointerBroken(PublicationError):
    """``current.json`` is there, but does not say which publication is current."""


class PublicationBroken(PublicationError):
    """A publication's file or manifest is damaged, or one of them is missing."""


class PublicationHeld(PublicationBroken):
    """Another program has the file open for writing, as only root can; it may be whole."""


class PublicationGone(PublicationError):
    """The number was published once, but its publication is not kept any more.

    Attributes:
        number: The number.
    """

    def __init__(self, number: int) -> None:
        """Take the number."""
        super().__init__(number)
        self.number = number

    def __str__(self) -> str:
        """Say which command lists those that are kept."""
        return f"Publication {self.number} is gone; `python -m publication list` shows those kept."


class PublicationNotYet(PublicationError):
    """The number is higher than the current one, or nothing was published so far."""


class RollbackPointless(PublicationError):
    """The number to roll back to is current already."""


class WarehouseBusy(PublicationError):
    """Another process holds the file that dbt builds in, and did not let go in time."""
