"""Arguments and options that several commands of models have."""

from __future__ import annotations

from typing import Annotated

import typer

Reference = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="As name, name@prod, name:7, name:^2.1, sha256:..."),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of a model.")]
Alias = Annotated[str, typer.Argument(metavar="ALIAS", help="The name of an alias, as `prod`.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept in the history.")]
Pair = Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Any number of times.")]
