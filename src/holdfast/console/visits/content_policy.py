"""What a page of the console may load and send to, as browsers hold it to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.console.console_options import ConsoleOptions

POLICY_HEADER = "Content-Security-Policy"


def content_policy(options: ConsoleOptions, sends_to: Sequence[str] = ()) -> str:
    """Return the policy of a page: nothing of other hosts but what *options* name.

    *sends_to* are origins besides to which its scripts may send.
    """
    others = "".join(f" {origin}" for origin in options.media_origins)
    connects = "".join(f" {origin}" for origin in sends_to)
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; "
        f"img-src 'self' data: blob:{others}; media-src 'self' blob:{others}; "
        f"connect-src 'self'{others}{connects}; font-src 'self'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
