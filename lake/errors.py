"""The errors of the lake room.

LakeError
├── TableMissing      there is no Delta table at the place
├── TableBroken       there is one, but it cannot be read whole
├── ContractBroken    it can be read, but lacks a key or has a column of another type
└── InputRejected     a file to load that cannot be read as a whole
"""


class LakeError(Exception):
    """Something a person can put right; its text is one sentence that says what and how."""


class TableMissing(LakeError):
    """There is no Delta table at the place, or not in the version asked for."""


class TableBroken(LakeError):
    """The table's log can be read but its data cannot."""


class ContractBroken(LakeError):
    """The table lacks a key column, or a contracted column has a type it cannot have."""


class InputRejected(LakeError):
    """A file handed to the lake that is not what it claims to be."""
