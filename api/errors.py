"""What is wrong before the server starts."""


class SettingsError(Exception):
    """A setting that cannot be: one sentence that names it and says what to write instead."""
