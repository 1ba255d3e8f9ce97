"""A history as the JSON document of `schemas/history.schema.json`, and as rows for a spreadsheet."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from diagnose import mask
from diagnose.model.history import Attribute, Breakdown, Bucket, History, Onset, Place, Share, Source, Tally

ABSENT = "(absent)"
"""An attribute's value where the field is missing (`Attribute.value`)."""
COLUMNS = ("section", "name", "count", "share", "bad", "first", "last", "source", "index", "byte")
"""The columns of the CSV. `share` is `count` in the whole that it is counted of; a p-value stands in it as well."""
_COMMANDING = tuple("=+-@\t\r\n＝＋－＠")
"""What a cell begins with that a spreadsheet takes for a formula; the wide forms are read so in East Asian settings."""

Cell = str | int | float | None
Row = tuple[Cell, ...]


def dumps(history: History) -> str:
    """The document as text: ASCII, without an end of line after it."""
    return json.dumps(document(history), ensure_ascii=True, indent=2, allow_nan=False)


def document(history: History) -> dict[str, Any]:
    """The document, masked; every text in it is bounded."""
    entries = history.entries
    made: dict[str, Any] = {
        "schema_version": 1,
        "profile": history.profile,
        "entries": entries,
        "malformed": history.malformed,
        "invalid": history.invalid,
        "undated": history.undated,
        "first": history.first,
        "last": history.last,
        "bad": _tally(history.bad, entries),
        "outcomes": {name: tally.count for name, tally in history.outcomes.items()},
        "generations": dict(history.generations),
        "roots": _tallies(history.roots, entries),
        "symptoms": _tallies(history.symptoms, entries),
        "checks": {check: _tallies(statuses, entries) for check, statuses in history.checks.items()},
        "timeline": _timeline(history.timeline),
        "by": _by(history.by),
        "onsets": None if history.onsets is None else [_onset(onset, entries) for onset in history.onsets],
        "sources": [_source(source) for source in history.sources],
        "malformed_at": [
            {"source": found.source, "byte": found.byte, "message": found.message} for found in history.malformed_at
        ],
        "not_counted": [
            {"source": missed.source, "start": missed.start, "end": missed.end, "why": missed.why}
            for missed in history.not_counted
        ],
        "notes": list(history.notes),
    }
    masked: dict[str, Any] = _bounded(mask.value(made))
    return masked


def under(field: str, value: str) -> str:
    """A field's value, masked as what stands under the field's name: the value of a `token` is a secret of any form."""
    if value == ABSENT:
        return value
    masked: dict[str, str] = mask.value({field.rpartition(".")[2]: value})
    return next(iter(masked.values()))


def _bounded(value: Any) -> Any:
    """Without endless texts, and without halves of characters, which strict readers refuse."""
    if isinstance(value, str):
        whole = value.encode("utf-8", "replace").decode()
        return whole if len(whole) <= mask.LONGEST else mask.cut(whole, mask.LONGEST)
    if isinstance(value, dict):
        return {_bounded(key): _bounded(inner) for key, inner in value.items()}
    return [_bounded(inner) for inner in value] if isinstance(value, list) else value


def _tallies(tallies: Mapping[str, Tally], entries: int) -> dict[str, Any]:
    return {name: _tally(tally, entries) for name, tally in tallies.items()}


def _tally(tally: Tally, entries: int) -> dict[str, Any]:
    return {
        "count": tally.count,
        "share": Share(tally.count, entries).ratio,
        "first": tally.first,
        "last": tally.last,
        "example": _place(tally.example),
    }


def _place(place: Place | None) -> dict[str, Any] | None:
    if place is None:
        return None
    return {"source": place.source, "index": place.index, "byte": place.byte, "place": str(place)}


def _source(source: Source) -> dict[str, Any]:
    return {
        "name": source.name,
        "kind": source.kind,
        "bytes": source.bytes,
        "entries": source.entries,
        "malformed": source.malformed,
    }


def _timeline(timeline: Breakdown | None) -> dict[str, Any] | None:
    if timeline is None:
        return None
    return {"unit": timeline.field, "buckets": [_bucket(bucket, bucket.name) for bucket in timeline.buckets]}


def _by(by: Breakdown | None) -> dict[str, Any] | None:
    if by is None:
        return None
    buckets = [_bucket(bucket, under(by.field, bucket.name)) for bucket in by.buckets]
    return {"field": by.field, "buckets": buckets, "left_out": by.left_out}


def _bucket(bucket: Bucket, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "entries": bucket.entries,
        "bad": bucket.bad,
        "outcomes": dict(bucket.outcomes),
        "causes": dict(bucket.causes),
    }


def _onset(onset: Onset, entries: int) -> dict[str, Any]:
    chance = onset.p_value
    return {
        "cause": onset.cause,
        "first": _tally(onset.first, entries),
        "at": onset.at,
        "until": onset.until,
        "p_value": chance if chance is not None and math.isfinite(chance) else None,
        "before": _share(onset.before),
        "after": _share(onset.after),
        "changed": [_attribute(attribute) for attribute in onset.changed],
        "separating": [_attribute(attribute) for attribute in onset.separating],
    }


def _share(share: Share) -> dict[str, Any]:
    return {"count": share.count, "of": share.of, "share": share.ratio}


def _attribute(attribute: Attribute) -> dict[str, Any]:
    return {
        "field": attribute.field,
        "value": under(attribute.field, attribute.value),
        "in_bad": _share(attribute.in_bad),
        "in_good": _share(attribute.in_good),
    }


# --- rows for a spreadsheet


def csv(history: History) -> str:
    """The numbers of the document as rows of `COLUMNS`, without an end of line after the last.

    Every text is masked, has its control characters shown, and is inert in a spreadsheet.
    """
    import csv as rows

    file = io.StringIO()
    writer = rows.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in _rows(document(history)):
        writer.writerow([_inert(cell) for cell in row])
    return file.getvalue().rstrip("\n")


def _inert(cell: Cell) -> Cell:
    from diagnose.render.text import visible  # it needs rich, and the document does not

    if not isinstance(cell, str):
        return cell
    return visible(f"'{cell}" if cell.lstrip(" ").startswith(_COMMANDING) else cell)


def _rows(d: dict[str, Any]) -> Iterator[Row]:
    """The rows of a document, in its order."""
    entries = d["entries"]
    whole = d["bad"]
    yield _row("profile", d["profile"])
    yield _row("entries", "", entries, bad=whole["count"], first=d["first"], last=d["last"])
    for name in ("malformed", "invalid", "undated"):
        yield _row(name, "", d[name])
    yield from _tallied("bad", {"": whole})
    for section, counts in (("outcome", d["outcomes"]), ("generation", d["generations"])):
        for name, count in counts.items():
            yield _row(section, name, count, Share(count, entries).ratio)
    yield from _tallied("root", d["roots"])
    yield from _tallied("symptom", d["symptoms"])
    for check, statuses in d["checks"].items():
        yield from _tallied("check", {f"{check}: {status}": tally for status, tally in statuses.items()})
    if d["timeline"] is not None:
        yield _row("timeline unit", d["timeline"]["unit"])
        yield from _buckets("timeline", d["timeline"]["buckets"], entries)
    if d["by"] is not None:
        yield _row("by field", d["by"]["field"])
        yield from _buckets("by", d["by"]["buckets"], entries)
        yield _row("by left out", "", d["by"]["left_out"], Share(d["by"]["left_out"], entries).ratio)
    for onset in d["onsets"] or ():
        yield from _onset_rows(onset)
    for source in d["sources"]:
        yield _row("source", source["kind"], source["entries"], source=source["name"])
        yield _row("source malformed", source["kind"], source["malformed"], source=source["name"])
        yield _row("source bytes", source["kind"], source["bytes"], source=source["name"])
    for place in d["malformed_at"]:
        yield _row("malformed at", place["message"], source=place["source"], byte=place["byte"])
    for missed in d["not_counted"]:
        yield _row("not counted from", missed["why"], source=missed["source"], byte=missed["start"])
        if missed["end"] is not None:
            yield _row("not counted to", missed["why"], source=missed["source"], byte=missed["end"])
    for note in d["notes"]:
        yield _row("note", note)


def _row(
    section: str,
    name: str,
    count: int | None = None,
    share: float | None = None,
    **rest: Cell,
) -> Row:
    cells = {"section": section, "name": name, "count": count, "share": share, **rest}
    return tuple(cells.get(column) for column in COLUMNS)


def _tallied(section: str, tallies: dict[str, Any]) -> Iterator[Row]:
    for name, tally in tallies.items():
        example = tally["example"] or {}
        place = {key: example.get(key) for key in ("source", "index", "byte")}
        yield _row(section, name, tally["count"], tally["share"], first=tally["first"], last=tally["last"], **place)


def _buckets(section: str, buckets: list[dict[str, Any]], entries: int) -> Iterator[Row]:
    for bucket in buckets:
        name, size = bucket["name"], bucket["entries"]
        yield _row(section, name, size, Share(size, entries).ratio, bad=bucket["bad"])
        for part in ("outcomes", "causes"):
            for inner, count in bucket[part].items():
                yield _row(f"{section} {part}", f"{name}: {inner}", count, Share(count, size).ratio)


def _onset_rows(onset: dict[str, Any]) -> Iterator[Row]:
    cause = onset["cause"]
    yield from _tallied("onset", {cause: onset["first"]})
    yield _row("onset p-value", cause, share=onset["p_value"])
    yield from _shares("onset before", cause, onset["before"])
    yield from _shares("onset after", cause, onset["after"], onset["at"], onset["until"])
    for part, bad, good in (("changed", "after", "before"), ("separating", "in bad", "in good")):
        for attribute in onset[part]:
            name = f"{cause}: {attribute['field']} = {attribute['value']}"
            yield from _shares(f"onset {part}, {bad}", name, attribute["in_bad"])
            yield from _shares(f"onset {part}, {good}", name, attribute["in_good"])


def _shares(
    section: str, name: str, share: dict[str, Any], first: str | None = None, last: str | None = None
) -> Iterator[Row]:
    yield _row(section, name, share["count"], share["share"], first=first, last=last)
    yield _row(f"{section}, of", name, share["of"])
