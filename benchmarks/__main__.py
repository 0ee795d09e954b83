"""`python -m benchmarks`: run one benchmark or all of them and print what was measured."""

from __future__ import annotations

import click

from benchmarks import (
    build,
    large_loads,
    ledger,
    loads,
    marketing,
    marts,
    overload,
    publishing,
    serving,
    swaps,
)


@click.group(help=__doc__)
def main() -> None:
    """Group the benchmarks."""


main.add_command(build.command)
main.add_command(large_loads.command)
main.add_command(ledger.command)
main.add_command(loads.command)
main.add_command(marketing.command)
main.add_command(marts.command)
main.add_command(overload.command)
main.add_command(publishing.command)
main.add_command(serving.command)
main.add_command(swaps.command)

if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
