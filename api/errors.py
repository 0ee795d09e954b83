"""What is wrong before the server starts."""


class SettingsError(Exception):
    """Settings that cannot be: a line for each, which names it and says what to write instead."""
