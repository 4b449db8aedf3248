"""A study's results beside the published ones, in the paper's own columns and order (section 5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from wsss.report.rounds import RoundScores, share_sentence
from wsss.report.tables.layout import MISSING, Row, Table, decimal, difference, percent
from wsss.report.tables.published import COLUMN_OF, SCORED_IMAGES, Published, PublishedStages, Values
from wsss.report.tables.results import Result

OURS = "Ours-"
"""How the names of the paper's own systems begin in its tables."""

MOST_COLUMNS = 30
"""Data sets of more classes have them below each other."""

NOT_SCORED = "This study has no true masks: nothing was scored, so there is nothing to compare."
OTHER_CLASSES = (
    "The classes of this study are not the 20 of PASCAL VOC: the published results are not comparable with "
    "its own, and are not shown."
)
OURS_ARE = f"{OURS}… are the systems of the paper. Segmentation networks are not told an image's labels."
STAGES_NOTE = (
    "mIoU in %. CAMs and random walk are given the true image-level labels, on val too. Where published code "
    "and paper differ, both are shown; the paper refines the walk by the dCRF, the code does not. Published: "
    f"{SCORED_IMAGES['train']:,} images of train, {SCORED_IMAGES['val']:,} of val; the background of the "
    "CAMs is not recorded."
)
TEST_NOTE = (
    "The masks of test are not public: what the VOC server says of this study's test masks belongs here."
)


def comparison(
    study: str,
    results: Sequence[Result],
    published: Sequence[Published],
    stages: tuple[Sequence[str], Sequence[PublishedStages]],
    rounds: list[RoundScores],
) -> list[str | Table]:
    """Lay out the protocol and scores of a study, and the published ones if the classes are VOC's.

    Differences are given where split and number of the scored images are the published ones.

    Args:
        study: its name.
        results: what was scored; may be empty.
        published: rows of the paper's tables.
        stages: names of the stages, and means of the published systems.
        rounds: of the study, and full supervision; shown where there is more than one.
    """
    if not results:
        return [NOT_SCORED]
    own = [_protocol(results), _per_class(results), *_rounds(rounds)]
    if not has_voc_classes(results):
        return [OTHER_CLASSES, *own]
    segmentation = next((result for result in results if result.name == "segmentation val"), None)
    return [
        *_other_images(results),
        *own,
        _stages(study, results, *stages),
        _table_2(study, segmentation, published),
        _table_3(published),
        _table_4(study, segmentation, published),
    ]


def _rounds(rounds: list[RoundScores]) -> Iterator[Table]:
    if len(rounds) < 2:
        return
    rows = (Row((name, *map(percent, scores))) for name, *scores in rounds)
    head = ("round", "CAMs or seeds", "pseudo masks", "segmentation train", "segmentation val")
    yield Table("Rounds, mIoU in %", head, tuple(rows), share_sentence(rounds))


def has_voc_classes(results: Iterable[Result]) -> bool:
    """Whether scores are of the classes of VOC, in its order."""
    return all(list(result.iou) == list(COLUMN_OF) for result in results)


def column_names(results: Sequence[Result]) -> tuple[str, ...]:
    """Return the names of the classes, as the paper shortens them if they are VOC's, and "mean"."""
    names = list(results[0].iou)
    return (*(COLUMN_OF.values() if names == list(COLUMN_OF) else names), "mean")


def _protocol(results: Iterable[Result]) -> Table:
    rows = (
        Row(
            (
                result.name,
                f"{result.images:,}",
                result.labels,
                result.background,
                result.walk,
                result.dense_crf,
                result.scales,
            )
        )
        for result in results
    )
    head = ("result", "images", "labels given", "background", "random walk", "dCRF", "scales")
    return Table("Protocol", head, tuple(rows))


def _per_class(results: Sequence[Result]) -> Table:
    rows = (Row((result.name, *map(percent, result.means))) for result in results)
    table = Table("This study, IoU in %", ("result", *column_names(results)), tuple(rows))
    return table if len(table.columns) <= MOST_COLUMNS else table.transposed()


def _other_images(results: Iterable[Result]) -> Iterator[str]:
    """Say which scores are on other images than the published ones."""
    others = [f"{result.name} {result.images:,}" for result in results if not _is_comparable(result)]
    if others:
        yield (
            f"Published results are on {SCORED_IMAGES['train']:,} images of train and "
            f"{SCORED_IMAGES['val']:,} of val. No differences are given for scores on others: "
            f"{'; '.join(others)}."
        )


def _is_comparable(result: Result) -> bool:
    return result.images == SCORED_IMAGES[result.split]


def _stages(
    study: str, results: Sequence[Result], names: Sequence[str], systems: Sequence[PublishedStages]
) -> Table:
    by_name = {result.name: result for result in results}
    found = [by_name.get(name) for name in names]
    own = [result.miou if result else None for result in found]
    comparable = [result.miou if result and _is_comparable(result) else None for result in found]
    titles = [", ".join(filter(None, (system.system, system.source))) for system in systems]
    rows = [
        *(Row((title, *map(decimal, system.means))) for title, system in zip(titles, systems, strict=True)),
        Row((study, *map(percent, own)), "study"),
        *(
            _differences(title, comparable, system.means)
            for title, system in zip(titles, systems, strict=True)
            if any(comparable)
        ),
    ]
    return Table("All stages", ("system", *names), tuple(rows), STAGES_NOTE)


def _table_2(study: str, segmentation: Result | None, published: Sequence[Published]) -> Table:
    listed = [row for row in published if row.table == "2"]
    rows = _published_rows(listed)
    if segmentation:
        rows.append(Row((study, *map(percent, segmentation.means)), "study"))
        rows += [
            _differences(row.method, segmentation.means, (*row.iou, row.mean))
            for row in listed
            if row.method.startswith(OURS) and _is_comparable(segmentation)
        ]
    head = ("method", *COLUMN_OF.values(), "mean")
    title = "Table 2: segmentation on val from image-level labels, IoU in %"
    return Table(title, head, tuple(rows), OURS_ARE)


def _table_3(published: Sequence[Published]) -> Table:
    rows = _published_rows([row for row in published if row.table == "3"])
    head = ("method", *COLUMN_OF.values(), "mean")
    return Table("Table 3: segmentation on test, IoU in %", head, tuple(rows), TEST_NOTE)


def _published_rows(published: Iterable[Published]) -> list[Row]:
    return [Row((row.method, *map(decimal, (*row.iou, row.mean)))) for row in published]


def _table_4(study: str, segmentation: Result | None, published: Sequence[Published]) -> Table:
    means: dict[str, dict[str, float | None]] = {}
    described = {}
    for row in published:
        if row.table == "4":
            means.setdefault(row.method, {})[row.split] = row.mean
            described[row.method] = (row.supervision, row.extra_data or MISSING)
    rows = [
        Row((method, *described[method], decimal(mean["val"]), decimal(mean["test"])))
        for method, mean in means.items()
    ]
    if segmentation:
        miou = segmentation.miou
        rows.append(Row((study, "image", MISSING, percent(miou), MISSING), "study"))
        rows += [
            Row((_versus(method), "", "", difference(miou, mean["val"]), MISSING), "difference")
            for method, mean in means.items()
            if method.startswith(OURS) and _is_comparable(segmentation)
        ]
    head = ("method", "supervision", "extra data", "val", "test")
    return Table("Table 4: segmentation by supervision, mIoU in %", head, tuple(rows), OURS_ARE)


def _differences(name: str, shares: Iterable[float | None], published: Values) -> Row:
    cells = (difference(*pair) for pair in zip(shares, published, strict=True))
    return Row((_versus(name), *cells), "difference")


def _versus(name: str) -> str:
    return f"vs {name}"
