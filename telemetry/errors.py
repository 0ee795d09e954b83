"""What can be wrong with how this is set."""


class TelemetryInvalid(ValueError):
    """A setting of logs or traces is none; the message is one sentence that says what to do."""
