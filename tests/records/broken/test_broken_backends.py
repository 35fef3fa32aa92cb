"""Each broken backend is caught by a case that cites the rule it breaks."""

import asyncio

import pytest

from holdfast.errors import HoldfastError
from holdfast.offload import TaskLock
from holdfast.records import Page, Repository, Store
from holdfast.records.conformance import CASES, StoreHarness, run_case
from holdfast.records.connect import driver_at
from holdfast.records.driver import StoreCapability
from holdfast.records.store import opening
from records.broken import backends
from records.broken.backends import Bent, BentDriver, BentQueries, BentValues, EditsOfJSON
from records.simple_backend import Shelf, ShelfDriver

BREAKS = {
    "LimitIsAnEndIndex": "FIND-1",
    "OffsetIsIgnored": "FIND-1",
    "CountHonoursALimit": "FIND-3",
    "LimitsOfGroupsCountAllRows": "LOAD-1",
    "AggregatesOfRelationsCountAllRows": "RELAGG-1",
    "NoRowsAreANullCount": "RELAGG-1",
    "OrdersByAggregatesLeaveNullsOut": "RELAGG-3",
    "ConditionsOnAggregatesAreIgnored": "RELAGG-2",
    "HavingIsIgnored": "GROUP-1",
    "GroupsComeAlongTheirValuesAlone": "GROUP-2",
    "DistinctCountsCountAll": "GROUP-3",
    "DaysAreThoseOfUTC": "GROUP-4",
    "DistinctValuesAreCutFirst": "DISTINCT-1",
    "NullsComeFirst": "ORDER-2",
    "TheOrderHasNoKey": "ORDER-1",
    "TextIsOrderedByUTF16": "TEXT-1",
    "LiveObjectsAreReturned": "COPY-1",
    "GetManyByQueryLosesRows": "GET-1",
    "KeysGoByHalves": "COMPOSITE-1",
    "MomentsAreNaive": "VALUE-2",
    "MomentsAreLocal": "VALUE-2",
    "NotEqualSkipsNulls": "NULL-2",
    "AnEmptyListIsEverything": "NULL-3",
    "WildcardsInContains": "TEXT-2",
    "TextIgnoresCase": "TEXT-1",
    "CaseIsFoldedForASCIIOnly": "TEXT-3",
    "TrueIsOneInJSON": "JSON-2",
    "AMissingPathIsNotNull": "JSON-3",
    "MicrosecondsAreLost": "VALUE-2",
    "DecimalsGoThroughFloat": "VALUE-5",
    "TextIsPadded": "TEXT-4",
    "TextIsComposed": "TEXT-4",
    "EmptyTextIsNull": "VALUE-7",
    "IntsInJSONBecomeFloats": "JSON-1",
    "BatchesAreNotAtomic": "WRITE-2",
    "BatchesDoNotTellTheIndex": "WRITE-2",
    "DuplicatesDoNotTellTheField": "ERR-1",
    "UpsertReadsThenWrites": "UPSERT-2",
    "UpsertDeletesAndInserts": "UPSERT-1",
    "StaleVersionsAreIgnored": "WRITE-5",
    "TheSameValuesAreNotFound": "WRITE-6",
    "IncrementsReadThenWrite": "CONC-1",
    "JSONIsReadThenWritten": "JSON-11",
    "WhatIsThereIsAppendedAgain": "JSON-8",
    "ChangesInJSONGoBackwards": "JSON-10",
    "IntsWrapAround": "VALUE-3",
    "ConditionsOfPatchesAreIgnored": "WRITE-7",
    "DeleteIgnoresItsFilter": "WHERE-1",
    "OneOfManyValuesIsGivenToAll": "WHERE-2",
    "UpdatesAreMadeRowByRow": "WRITE-1",
    "CountsOfUpdatesAreOfTheChangedAlone": "WRITE-6",
    "RollbackKeepsAll": "TX-1",
    "ASavepointUndoesAll": "TX-3",
    "SavepointsDoNothing": "TX-3",
    "ReadersSeeWhatIsNotCommitted": "TX-5",
    "SnapshotsMove": "TX-6",
    "ReadOnlyIsAHint": "TX-7",
    "CancellationLeaksALock": "CANCEL-1",
    "CancellationLeavesAHalf": "CANCEL-1",
    "ReferencesAreUnchecked": "REF-1",
    "NothingCascades": "REF-3",
    "ExclusionsAreIgnored": "SEARCH-2",
    "WordsAreFoundWithinWords": "SEARCH-2",
    "NegatedRelationsSkipNulls": "REL-3",
    "OneOfManyNeedNotFitAll": "REL-3",
    "UpdatesSeeTheirOwnWrites": "REL-3",
    "RelatedOrdersLeaveNullsOut": "REL-4",
    "UnequalFieldsSkipNulls": "EXPR-1",
    "ExpressionsAreFloats": "EXPR-2",
    "ChangesSeeOneAnother": "EXPR-7",
    "SubqueriesGiveNullsToo": "SUB-1",
    "TrueIsAnItemOne": "JSON-7",
    "NumbersAreReused": "KEY-1",
    "UniqueValuesAreNeverFree": "UNIQUE-1",
    "UniqueValuesAreUnchecked": "UNIQUE-1",
    "UniquesAreOfAllRows": "CONSTRAINT-3",
    "UniquesMindCase": "CONSTRAINT-4",
    "ChecksAreSkipped": "CONSTRAINT-1",
    "SchemasAreForgotten": "SCHEMA-3",
    "WhatIsLeftOutIsNotReturned": "DEFAULT-1",
    "UpsertsKeepWhatHasADefault": "DEFAULT-2",
    "NumbersComeBackwards": "SEQUENCE-1",
    "UpsertsTakeNoNumbers": "SEQUENCE-2",
    "NumbersComeWithTheRowsAlone": "SEQUENCE-3",
    "SequencesWrapAround": "SEQUENCE-4",
    "WhatIsDeletedIsOverwritten": "SOFT-1",
    "TheTimeOfCreationMoves": "UPSERT-1",
    "CountersAreOverwritten": "COUNTER-1",
    "PatchesWriteAll": "WRITE-7",
    "AFailedWriteStays": "WRITE-1",
}
PARTS = {Bent, BentDriver, BentQueries, BentValues, EditsOfJSON, Shelf, ShelfDriver}


class BrokenHarness(StoreHarness):
    capabilities = frozenset(StoreCapability) - {StoreCapability.ROW_LOCKS}

    def __init__(self, backend):
        self.backend = backend
        if issubclass(backend, (Shelf, ShelfDriver)):
            self.capabilities = self.capabilities - {StoreCapability.SEQUENCES}

    def open(self, entities, clock):
        if issubclass(self.backend, Shelf):
            driver = ShelfDriver(TaskLock)
            driver.executor = self.backend
        elif issubclass(self.backend, ShelfDriver):
            driver = self.backend(TaskLock)
        else:
            driver = driver_at("memory://")
            if issubclass(self.backend, BentDriver):
                driver = self.backend(driver, None)
            else:
                driver = BentDriver(driver, self.backend)
        return opening(Store(driver, entities, clock=clock))


def caught(harness, rule):
    """Return the names of the cases that cite *rule* and fail on *harness*."""
    failed = []
    for each in CASES:
        if rule in each.rules:
            try:
                run_case(harness, each, blocking=False)
            except (AssertionError, HoldfastError, TimeoutError):
                failed.append(each.name)
    return failed


@pytest.mark.parametrize(("name", "rule"), BREAKS.items(), ids=BREAKS)
def test_a_broken_backend_is_caught(name, rule, monkeypatch):
    for module in ("lab", "suite"):  # one hangs, and is caught by that
        monkeypatch.setattr(f"holdfast.records.conformance.{module}.PATIENCE", 20.0)
    assert caught(BrokenHarness(getattr(backends, name)), rule)


def test_every_broken_backend_is_tried():
    defined = {
        name
        for name, value in vars(backends).items()
        if isinstance(value, type)
        and issubclass(value, (Bent, BentDriver, Shelf, ShelfDriver))
        and value not in PARTS
        and not name.startswith("_")
    }
    assert defined == set(BREAKS)


def test_what_stands_before_a_backend_harms_nothing_by_itself():
    harness = BrokenHarness(Bent)
    for each in CASES[::4]:
        run_case(harness, each, blocking=False)


class OffsetRepository(Repository):
    async def page(self, *where, order_by=(), size=50, cursor=None, total=False, load=()):
        start = int(cursor or 0)
        items = await self.find(*where, order_by=order_by, limit=size + 1, offset=start)
        following = str(start + size) if len(items) > size else None
        before = str(max(start - size, 0)) if start else None
        return Page(items[:size], following, before)


class OffsetStore(Store):
    def repository(self, entity):
        return OffsetRepository(entity, self)


def test_a_cursor_that_is_an_offset_is_caught():
    class Harness(StoreHarness):
        def open(self, entities, clock):
            driver = driver_at("memory://")
            return opening(OffsetStore(driver, entities, clock=clock))

    assert "rows_that_come_and_go_neither_repeat_nor_hide_others" in caught(
        Harness("memory://"), "PAGE-3"
    )


def test_a_backend_that_lacks_savepoints_and_does_not_refuse_them_is_caught():
    class Silent(BrokenHarness):
        capabilities = frozenset(StoreCapability) - {StoreCapability.SAVEPOINTS}

    assert caught(Silent(backends.SavepointsDoNothing), "TX-3")


def test_a_backend_that_refuses_what_it_lacks_passes():
    from holdfast.errors import UnsupportedError  # noqa: PLC0415

    class NoSavepoints(Bent):
        async def savepoint(self):
            raise UnsupportedError("savepoints", "bent")

    class Honest(BrokenHarness):
        capabilities = frozenset(StoreCapability) - {StoreCapability.SAVEPOINTS}

    assert caught(Honest(NoSavepoints), "TX-3") == []
    assert caught(Honest(NoSavepoints), "TX-4") == []


def test_an_in_process_run_leaves_no_loop_behind():
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
