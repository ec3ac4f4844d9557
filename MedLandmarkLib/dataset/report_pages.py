"""A dataset's report to be looked at: the contact sheet, and one HTML page with the sheet and every finding."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path

from ..errors import ImageError
from ..export.contact_sheet import SheetCell, contact_sheet_png, reduced
from ..export.files import written_whole
from ..image import read_image
from .cases import Case
from .checking import DatasetReport

MOST_CELLS = 60

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 14px/1.4 sans-serif; margin: 2em; max-width: 110em }}
table {{ border-collapse: collapse }} td, th {{ border-bottom: 1px solid #ddd; padding: .25em .7em; text-align: left }}
.error {{ color: #b03000; font-weight: bold }} .warning {{ color: #8a6d00 }} img {{ max-width: 100% }}
</style></head><body>
<h1>{title}</h1>
<p>{summary}</p>
{notes}
<table>
<tr><th>severity</th><th>kind</th><th>case</th><th>landmark</th><th>what</th><th>value</th><th>what to do</th></tr>
{rows}
</table>
<h2>Contact sheet</h2>
<p>Cases with findings first, in an orange frame; the landmarks that a finding names are ringed.</p>
<img alt="contact sheet" src="data:image/png;base64,{sheet}">
</body></html>
"""


def summary(report: DatasetReport) -> str:
    """One line: how large the dataset is and how much was found."""
    dataset = report.dataset
    splits = ", ".join(f"{name or 'no split'} {len(cases)}" for name, cases in dataset.splits.items())
    counts = [(len(report.errors), "error"), (len(report.warnings), "warning")]
    found = ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts)
    return f"{dataset.name}: {len(dataset)} cases ({splits}), {len(dataset.landmark_names)} landmarks; {found}"


def sheet_png(report: DatasetReport, most: int = MOST_CELLS) -> bytes:
    """The contact sheet as PNG: `most` cases, those with findings first. Raises MedLandmarkError."""
    suspicious = [case for case in report.dataset if report.of_case(case.id)]
    suspicious.sort(key=lambda case: min(finding.severity for finding in report.of_case(case.id)))
    others = [case for case in report.dataset if not report.of_case(case.id)]
    shown = [*suspicious, *_spread(others, most - len(suspicious))][:most]
    title = summary(report) + f"; {len(shown)} of {len(report.dataset)} shown, those with findings first"
    return contact_sheet_png([_cell(report, case) for case in shown], title)


def write_sheet(report: DatasetReport, path: Path | str, most: int = MOST_CELLS) -> None:
    """Write the contact sheet, whole or not at all. Raises OSError, MedLandmarkError."""
    data = sheet_png(report, most)
    with written_whole(path) as temporary:
        temporary.write_bytes(data)


def write_page(report: DatasetReport, path: Path | str, most: int = MOST_CELLS) -> None:
    """Write the HTML page, which needs no other file. Raises OSError, MedLandmarkError."""
    rows = []
    for item in report.findings:
        texts = (item.kind, item.case, item.landmark, item.what, item.value, item.advice)
        cells = "".join(f"<td>{html.escape(text)}</td>" for text in texts)
        rows.append(f'<tr><td class="{item.severity}">{item.severity}</td>{cells}</tr>')
    page = _PAGE.format(
        title=html.escape(f"Dataset {report.dataset.name}"),
        summary=html.escape(summary(report)),
        notes="".join(f"<p>Note: {html.escape(note)}</p>" for note in report.notes),
        rows="\n".join(rows) or "<tr><td colspan=7>Nothing was found.</td></tr>",
        sheet=base64.b64encode(sheet_png(report, most)).decode(),
    )
    with written_whole(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _spread(cases: Sequence[Case], count: int) -> list[Case]:
    """`count` of the cases, evenly from the first to the last."""
    count = max(0, min(count, len(cases)))
    return [cases[number * len(cases) // count] for number in range(count)]


def _cell(report: DatasetReport, case: Case) -> SheetCell:
    found = report.of_case(case.id)
    picture, size_wh, points = None, case.size[:2], case.points
    try:
        image = read_image(case.image_path)
        depths = [point[2] for read in points.values() for point in read.values() if len(point) == 3]
        middle = round(sum(depths) / len(depths)) if depths else 0
        picture = reduced(image.display_rgb(0, min(max(middle, 0), image.size[2] - 1)))
        size_wh = image.size[:2]
    except ImageError:
        picture = None  # which is a finding of its own, and is said in the cell
    return SheetCell(
        title=f"{case.id} ({case.split})" if case.split else case.id,
        caption="; ".join(_short(finding.what, case.id) for finding in found),
        picture=picture,
        size_wh=size_wh,
        points=points,
        marked=frozenset(name for finding in found for name in finding.landmark.split(", ") if name),
        is_suspicious=bool(found),
    )


def _short(what: str, case_id: str) -> str:
    return what.removeprefix(f"case '{case_id}'").lstrip(":, ")
