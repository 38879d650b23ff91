"""Files and folders are there whole or not at all."""

import errno
import os
import resource
import stat

import pytest

from inducer_bench.files import cache_root, read_bytes, remove, sha256, write_atomic, write_folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_written_file_holds_exactly_the_content(tmp_path):
    write_atomic(tmp_path / "file", b"\x00new\r\n")
    assert (tmp_path / "file").read_bytes() == b"\x00new\r\n"
    assert names(tmp_path) == ["file"]


def test_existing_file_is_replaced_whole(tmp_path):
    (tmp_path / "file").write_bytes(b"a much longer old content")
    write_atomic(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_failing_write_leaves_the_old_file_and_no_temporary(tmp_path, monkeypatch, step):
    (tmp_path / "file").write_bytes(b"old")

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_interrupt_in_the_middle_leaves_the_old_file_and_no_temporary(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"old")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_file_that_outgrows_its_limit_leaves_the_old_one(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_atomic(tmp_path / "file", b"x" * 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "file").read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_content_is_on_disk_before_the_name_is_and_the_name_before_the_return(tmp_path, monkeypatch):
    events = []
    fsync, replace = os.fsync, os.replace

    def seen_fsync(descriptor):
        events.append("sync folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "sync file")
        fsync(descriptor)

    def seen_replace(*paths):
        events.append("rename")
        replace(*paths)

    monkeypatch.setattr(os, "fsync", seen_fsync)
    monkeypatch.setattr(os, "replace", seen_replace)
    write_atomic(tmp_path / "file", b"new")
    assert events == ["sync file", "rename", "sync folder"]


def test_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_atomic(tmp_path / "nowhere" / "file", b"new")


def test_a_writer_that_comes_second_leaves_the_first_ones_folder(tmp_path):
    def write_while_another_finishes(draft) -> None:
        (draft / "mine").touch()
        (tmp_path / "task").mkdir()
        (tmp_path / "task" / "theirs").touch()

    write_folder(tmp_path / "task", write_while_another_finishes)
    assert [path.name for path in tmp_path.rglob("*")] == ["task", "theirs"]


def test_a_failed_writer_leaves_nothing(tmp_path):
    def fail(draft) -> None:
        (draft / "half").touch()
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_folder(tmp_path / "task", fail)
    assert not list(tmp_path.iterdir())


def test_cache_is_where_the_environment_says_or_in_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("INDUCER_BENCH_CACHE", str(tmp_path))
    assert cache_root() == tmp_path
    monkeypatch.setenv("INDUCER_BENCH_CACHE", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_root() == tmp_path / ".cache" / "inducer_bench"
    monkeypatch.setenv("INDUCER_BENCH_CACHE", "~/elsewhere")
    assert cache_root() == tmp_path / "elsewhere"
    monkeypatch.setenv("INDUCER_BENCH_CACHE", "~nobody-here/cache")
    with pytest.raises(OSError, match="home directory"):
        cache_root()


def test_whatever_lies_in_a_place_is_removed(tmp_path):
    place, elsewhere = tmp_path / "place", tmp_path / "elsewhere"
    (elsewhere / "inside").mkdir(parents=True)
    for put in (
        lambda: place.write_text("x"), lambda: (place / "in").mkdir(parents=True), lambda: os.mkfifo(place),
        lambda: place.symlink_to(place), lambda: place.symlink_to(elsewhere), lambda: None,
    ):  # fmt: skip
        put()
        remove(place)
        assert not place.is_symlink()
        assert not place.exists()
    assert (elsewhere / "inside").is_dir()


@pytest.mark.parametrize("read", [read_bytes, sha256])
def test_only_regular_files_are_read_and_a_pipe_does_not_wait(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    for name in ("pipe", "folder", "loop", "missing"):
        with pytest.raises(OSError):  # noqa: PT011
            read(tmp_path / name)
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert read(tmp_path / "link") == read(tmp_path / "file")
