"""A provider on disk that counts what it started, and that a test makes fail."""

from pathlib import Path
from uuid import UUID

from holdfast.errors import ServiceError, UnavailableError
from holdfast.hosts.provider import Instance, InstanceState


class DiskProvider:
    """Keeps a file for each token, as a cloud keeps a client's token with what it started.

    *lost* answers are lost after the instance was started, *deaf* ones before. *room* is how many
    it has in all, *refused* the names of templates that it does not know.
    """

    def __init__(self, folder, type="disk"):  # noqa: A002 - the contract's word
        self.folder = Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.type = type
        self.name = f"{type} here"
        self.lost = self.deaf = 0
        self.room = None
        self.refused = set()
        self.away = False

    async def launch(self, token, template):
        if self.away or self.deaf:
            self.deaf -= not self.away
            raise UnavailableError("no answer")
        if template.name in self.refused:
            raise ServiceError("launch", 400, "InvalidImage", "there is no such image")
        path = self.folder / str(token)
        if not path.exists():
            if self.room is not None and len(self.living()) >= self.room:
                raise UnavailableError("no capacity")
            with path.open("x") as file:  # fails for what two ask for at once
                file.write("running")
            with (self.folder / "started").open("a") as file:
                file.write(f"{token}\n")
        if self.lost:
            self.lost -= 1
            raise UnavailableError("the answer was lost")
        return self._instance(path)

    async def end(self, token, *, at_once=False):
        if self.away:
            raise UnavailableError("no answer")
        path = self.folder / str(token)
        if path.exists():
            path.write_text("ended")

    async def instances(self):
        if self.away:
            raise UnavailableError("no answer")
        return [self._instance(path) for path in self.folder.iterdir() if path.name != "started"]

    def _instance(self, path):
        return Instance(UUID(path.name), f"i-{path.name}", InstanceState(path.read_text()), "::1")

    def living(self):
        """The tokens of the instances that are paid for."""
        return {
            path.name
            for path in self.folder.iterdir()
            if path.name != "started" and path.read_text() != "ended"
        }

    def started(self):
        """The tokens of all that were ever started, in their order."""
        log = self.folder / "started"
        return log.read_text().split() if log.exists() else []
