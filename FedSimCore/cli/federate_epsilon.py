"""``fedsim federate epsilon``: what a study's noise will promise, before it begins."""

from __future__ import annotations

import typer

from FedSimCore.cli.common import JSON_OPTION, print_json


def epsilon(
    noise: float = typer.Option(..., min=1e-6, help="The study's privacy.noise.", show_default=False),
    rounds: int = typer.Option(..., min=1, help="Rounds of the study.", show_default=False),
    cases: list[int] = typer.Option(..., min=1, help="Cases of a site; once for each site.", show_default=False),
    batch_size: int = typer.Option(4, min=1, help="Cases of a site in a round: the recipe's batch_size."),
    delta: float = typer.Option(1e-5, min=1e-300, max=0.999, help="The study's privacy.delta."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Tell the epsilon that a study with noise will have spent at its end, for sites of so many cases."""
    from FedSimCore.federated.accounting import epsilon_of, uses_of

    found = [epsilon_of(noise, uses_of(rounds, batch_size, each), delta) for each in cases]
    if as_json:
        print_json({"epsilon": found, "delta": delta})
        return
    for count, value in zip(cases, found, strict=True):
        typer.echo(f"{count} cases: epsilon {value:.2f} after {rounds} rounds (delta {delta:g})")
