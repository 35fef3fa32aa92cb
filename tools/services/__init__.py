"""The real servers that Holdfast is tested on: installed, started, found and stopped.

`python -m tools.services start` is the way in for people, `tools.services.endpoints` for tests and
`tools.services.rows` for whoever shows what runs. Only the standard library is needed.
"""
