"""Who still works with something that is to be closed."""

import asyncio


class Leases:
    """A count of those who do: ``with leases: ...``. It lives on one event loop."""

    __slots__ = ("_count", "_none")

    def __init__(self) -> None:
        """Begin with nobody."""
        self._count = 0
        self._none = asyncio.Event()
        self._none.set()

    def __enter__(self) -> None:
        """Begin to work with it."""
        self._count += 1
        self._none.clear()

    def __exit__(self, *error: object) -> None:
        """Stop."""
        self._count -= 1
        if not self._count:
            self._none.set()

    async def none(self) -> None:
        """Wait until nobody does."""
        while self._count:  # another one may have begun as soon as one ended
            await self._none.wait()
