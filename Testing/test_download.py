"""The downloader against a server on this computer that behaves as badly as servers do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bad_server import CONTENT, Behaviour, serving

from MedLandmarkLib.errors import DetectionCancelled, ModelError
from MedLandmarkLib.models import download as download_module
from MedLandmarkLib.models import folder
from MedLandmarkLib.models.download import download_file


@pytest.fixture
def a_server() -> Iterator[tuple[str, Behaviour]]:
    with serving() as address_and_behaviour:
        yield address_and_behaviour


@pytest.fixture
def a_target(tmp_path: Path) -> Path:
    return tmp_path / "models" / "weights.pth"


@pytest.fixture
def a_download(a_server: tuple[str, Behaviour], a_target: Path, monkeypatch: pytest.MonkeyPatch) -> Callable:
    monkeypatch.setattr(download_module, "_BLOCK", 10_000)

    def run(**settings: object) -> download_module.Downloaded:
        return download_file(a_server[0], a_target, retry_wait_s=0.001, **settings)

    return run


def _left(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir()) if target.parent.exists() else []


def test_a_file_comes_whole_with_its_hash_and_progress(a_download: Callable, a_target: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    got = a_download(progress=lambda done, total: seen.append((done, total)))
    assert a_target.read_bytes() == CONTENT
    assert got.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert _left(a_target) == ["weights.pth"]


def test_a_broken_connection_goes_on_where_it_stopped(
    a_download: Callable, a_server: tuple[str, Behaviour], a_target: Path
) -> None:
    a_server[1].cuts = [95_000, 75_000]  # in the middle of a block
    a_download()
    assert a_target.read_bytes() == CONTENT
    assert a_server[1].ranges == [None, "bytes=90000-", "bytes=160000-"]


def test_a_later_call_goes_on_where_an_earlier_one_gave_up(
    a_download: Callable, a_server: tuple[str, Behaviour], a_target: Path
) -> None:
    a_server[1].cuts = [120_000] + [0] * 10
    with pytest.raises(ModelError, match=r"stopped after 0\.1 MB.*same command again"):
        a_download()
    assert not a_target.exists()
    assert a_target.with_name("weights.pth.part").stat().st_size == 120_000
    a_server[1].cuts = []
    a_server[1].ranges.clear()
    a_download()
    assert a_server[1].ranges == ["bytes=120000-"]
    assert a_target.read_bytes() == CONTENT


def test_a_file_that_changed_meanwhile_is_fetched_anew(
    a_download: Callable, a_server: tuple[str, Behaviour], a_target: Path
) -> None:
    a_server[1].cuts = [120_000] + [0] * 10
    with pytest.raises(ModelError):
        a_download()
    a_server[1].cuts, a_server[1].etag, a_server[1].content = [], '"v2"', CONTENT[::-1]
    a_download()
    assert a_target.read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_strong_validator_nothing_is_glued_together(
    a_download: Callable, a_server: tuple[str, Behaviour], a_target: Path, etag: str | None
) -> None:
    a_server[1].etag = etag
    a_server[1].cuts = [50_000]
    a_download()
    assert a_server[1].ranges == [None, None]
    assert a_target.read_bytes() == CONTENT


def test_a_server_without_ranges_still_gives_the_file(
    a_download: Callable, a_server: tuple[str, Behaviour], a_target: Path
) -> None:
    a_server[1].understands_ranges = False
    a_server[1].cuts = [50_000]
    a_download()
    assert a_target.read_bytes() == CONTENT


def test_a_stray_part_of_another_file_is_not_continued(a_download: Callable, a_target: Path) -> None:
    a_target.parent.mkdir(parents=True)
    a_target.with_name("weights.pth.part").write_bytes(b"something else")
    a_target.with_name("weights.pth.part.json").write_text('{"url": "http://elsewhere", "validator": "x"}')
    a_download()
    assert a_target.read_bytes() == CONTENT


def test_a_range_the_server_does_not_have_starts_again(
    a_download: Callable, a_server: tuple[str, Behaviour], a_target: Path
) -> None:
    a_target.parent.mkdir(parents=True)
    a_target.with_name("weights.pth.part").write_bytes(bytes(999_999))
    note = {"url": a_server[0], "validator": '"v1"', "stated_sha256": None}
    a_target.with_name("weights.pth.part.json").write_text(json.dumps(note))
    a_server[1].status = [416]
    a_download()
    assert a_target.read_bytes() == CONTENT


def test_a_busy_server_is_asked_again(a_download: Callable, a_server: tuple[str, Behaviour], a_target: Path) -> None:
    a_server[1].status = [503, 429, 500]
    a_download()
    assert a_target.read_bytes() == CONTENT


def test_a_file_with_another_hash_is_thrown_away(a_download: Callable, a_target: Path) -> None:
    with pytest.raises(ModelError, match=r"sha256 [0-9a-f]{64}, but 0{64} was expected"):
        a_download(sha256="0" * 64)
    assert _left(a_target) == []


def test_the_hash_that_the_host_states_is_checked(
    a_download: Callable, a_server: tuple[str, Behaviour], a_target: Path
) -> None:
    a_server[1].redirect_headers = {"X-Linked-Etag": f'"{"1" * 64}"'}
    with pytest.raises(ModelError, match=f"{'1' * 64} was expected"):
        a_download()
    assert _left(a_target) == []
    a_server[1].redirect_headers = {"X-Linked-Etag": f'"{hashlib.sha256(CONTENT).hexdigest()}"'}
    a_download()
    assert a_target.read_bytes() == CONTENT


def test_a_web_page_in_place_of_the_file_is_told(
    a_download: Callable, a_server: tuple[str, Behaviour], a_target: Path
) -> None:
    a_server[1].headers = {"Content-Type": "text/html; charset=utf-8"}
    with pytest.raises(ModelError, match=r"web page.*models import"):
        a_download()
    assert not a_target.exists()


@pytest.mark.parametrize(("status", "message"), [(404, "may have moved"), (403, "not open to everyone"), (410, "410")])
def test_a_refusal_is_not_repeated_and_is_explained(
    a_download: Callable, a_server: tuple[str, Behaviour], a_target: Path, status: int, message: str
) -> None:
    a_server[1].status = [status] * 10
    with pytest.raises(ModelError, match=message):
        a_download()
    assert len(a_server[1].ranges) == 1
    assert not a_target.exists()


def test_an_announced_length_that_never_comes_is_no_file(
    a_download: Callable, a_server: tuple[str, Behaviour], a_target: Path
) -> None:
    a_server[1].announced = len(CONTENT) + 10
    a_server[1].understands_ranges = False
    with pytest.raises(ModelError, match="stopped after"):
        a_download()
    assert not a_target.exists()


def test_an_empty_answer_is_no_file(a_download: Callable, a_server: tuple[str, Behaviour], a_target: Path) -> None:
    a_server[1].content = b""
    with pytest.raises(ModelError, match="empty file"):
        a_download()
    assert not a_target.exists()


def test_a_stop_is_obeyed_and_the_part_is_kept(
    a_download: Callable, a_server: tuple[str, Behaviour], a_target: Path
) -> None:
    seen: list[int] = []
    with pytest.raises(DetectionCancelled):
        a_download(progress=lambda done, _: seen.append(done), should_stop=lambda: len(seen) >= 5)
    assert not a_target.exists()
    a_download()
    assert a_target.read_bytes() == CONTENT
    assert a_server[1].ranges == [None, "bytes=50000-"]


def test_no_server_at_all_is_told_soon(a_target: Path) -> None:
    with pytest.raises(ModelError, match=r"No answer from 127\.0\.0\.1:9"):
        download_file("http://127.0.0.1:9/x", a_target, retry_wait_s=0.001)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "weights.pth"])
def test_only_web_addresses_are_downloaded(a_target: Path, url: str) -> None:
    with pytest.raises(ModelError, match="not a web address"):
        download_file(url, a_target)


def test_a_disk_too_small_is_told_before_it_is_full(
    a_download: Callable, a_target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = folder.shutil.disk_usage("/")._replace(free=100)
    monkeypatch.setattr(folder.shutil, "disk_usage", lambda _: free)
    with pytest.raises(ModelError, match="GB are free"):
        a_download()
    assert not a_target.exists()
