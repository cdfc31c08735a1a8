"""Saved conversations, with real files, killed processes and interrupts; both clients run the same tests."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from chatgpt4online import AsyncConversation, Conversation, InvalidInput, atomic, files

from ..clients.test_conversation import KINDS, client, finish, next_turn, says

OLD = [says("user", "old"), says("assistant", "old answer")]
NEW = [says("user", "new"), says("assistant", "new answer " * 1000)]
SECONDS = 20  # a wait ends within milliseconds; the limit only ends a test that has failed

if sys.platform != "win32":
    import fcntl

posix = pytest.mark.skipif(sys.platform == "win32", reason="it needs permissions, pipes and signals of POSIX")


def talk(kind: Any, messages: Any = NEW) -> Any:
    return client(kind).conversation(messages=messages, chat_id="c1")


def messages_in(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))["messages"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a saved conversation. Its directory has no other file."""
    talk(Conversation, OLD).save(tmp_path / "talk.json")
    return tmp_path / "talk.json"


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@posix
@KINDS
class TestPlaces:
    """Files that a conversation is saved to: their permissions, owners, links and names."""

    @pytest.mark.parametrize("mode", [0o600, 0o644, 0o660, 0o666, 0o400], ids=oct)
    def test_existing_file_keeps_its_permissions(self, kind: Any, path: Path, mode: int) -> None:
        path.chmod(mode)
        talk(kind).save(path)
        assert mode_of(path) == mode
        assert messages_in(path) == NEW

    @pytest.mark.parametrize("umask", [0o000, 0o022, 0o077], ids=oct)
    def test_new_file_is_for_its_owner_only(self, kind: Any, tmp_path: Path, umask: int) -> None:
        before = os.umask(umask)
        try:
            talk(kind).save(tmp_path / "talk.json")
        finally:
            os.umask(before)
        assert mode_of(tmp_path / "talk.json") == 0o600

    def test_existing_file_keeps_its_owner(self, kind: Any, path: Path) -> None:
        if os.geteuid() != 0:
            pytest.skip("only the superuser can give files away")
        os.chown(path, 12345, 23456)
        path.chmod(0o640)
        talk(kind).save(path)
        status = path.stat()
        assert (status.st_uid, status.st_gid, mode_of(path)) == (12345, 23456, 0o640)

    def test_permissions_of_a_group_are_not_given_to_another_group(
        self, kind: Any, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A user who is not in the file's group cannot keep it."""

        def refused(*_: Any) -> None:
            raise PermissionError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "chown", refused)
        path.chmod(0o664)
        talk(kind).save(path)
        assert mode_of(path) == 0o604

    @pytest.mark.parametrize("links", [["a"], ["a", "b"]], ids=len)
    @pytest.mark.parametrize("is_relative", [True, False], ids=["relative", "absolute"])
    @pytest.mark.parametrize("exists", [True, False], ids=["file", "no file yet"])
    def test_link_stays_and_its_file_is_replaced(
        self, kind: Any, tmp_path: Path, links: list[str], is_relative: bool, exists: bool
    ) -> None:
        (tmp_path / "real").mkdir()
        target = tmp_path / "real" / "talk.json"
        if exists:
            talk(kind, OLD).save(target)
        last = Path("real/talk.json") if is_relative else target
        for name in links:
            (tmp_path / name).symlink_to(last)
            last = Path(name) if is_relative else tmp_path / name
        talk(kind).save(tmp_path / links[-1])
        assert all((tmp_path / name).is_symlink() for name in links)
        assert messages_in(target) == NEW
        assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted([*links, "real"])
        assert list((tmp_path / "real").iterdir()) == [target]
        assert kind.load(tmp_path / links[-1], client(kind)).messages == NEW

    @pytest.mark.parametrize("name", ["x" * 255, "я" * 127, "😀" * 63], ids=["ASCII", "Cyrillic", "emoji"])
    def test_file_with_the_longest_name_is_saved(self, kind: Any, tmp_path: Path, name: str) -> None:
        talk(kind).save(tmp_path / name)
        assert messages_in(tmp_path / name) == NEW


def files_in(folder: Path) -> dict[str, tuple[int, int]]:
    """Return the inode and the mode of each entry. Times are left out: the system changes them when a link is read."""
    return {entry.name: (entry.lstat().st_ino, entry.lstat().st_mode) for entry in folder.iterdir()}


def make_socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # the path of a socket has at most 108 bytes
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


OTHER_KINDS: dict[str, Callable[[Path], object]] = {
    "a directory": lambda path: path.mkdir(),
    "a pipe": lambda path: os.mkfifo(path),  # noqa: PLW0108  # Windows has no mkfifo
    "a socket": make_socket,
    "a device": lambda path: path.symlink_to("/dev/null"),
}


@posix
@KINDS
@pytest.mark.parametrize("what", OTHER_KINDS)
@pytest.mark.parametrize("linked", [False, True], ids=["itself", "by a link"])
class TestOtherKindsOfFiles:
    """A directory, a pipe, a socket or a device is neither replaced nor read. No call waits for a pipe."""

    @pytest.fixture
    def other(self, tmp_path: Path, what: str, linked: bool) -> Path:
        OTHER_KINDS[what](tmp_path / "other")
        if linked:
            (tmp_path / "link").symlink_to("other")
        return tmp_path / ("link" if linked else "other")

    def test_save_refuses_other_kinds_of_files(self, kind: Any, other: Path, what: str) -> None:
        before = files_in(other.parent)
        with pytest.raises(InvalidInput, match=f"cannot be written: '.*' is {what}, not a regular file"):
            talk(kind).save(other)
        assert files_in(other.parent) == before

    def test_load_refuses_other_kinds_of_files(self, kind: Any, other: Path, what: str) -> None:
        with pytest.raises(InvalidInput, match=f"cannot be read: '.*' is {what}, not a regular file"):
            kind.load(other, client(kind))

    def test_upload_refuses_other_kinds_of_files(self, kind: Any, other: Path, what: str) -> None:
        with pytest.raises(InvalidInput, match=f"cannot be read: '.*' is {what}, not a regular file"):
            client(kind)._operations.upload(other)


@posix
@KINDS
def test_null_device_is_still_a_device_after_save(kind: Any) -> None:
    with pytest.raises(InvalidInput, match="'/dev/null' is a device"):
        talk(kind).save("/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@KINDS
class TestErrors:
    """Errors of save and load."""

    @pytest.mark.parametrize("action", ["save", "load"])
    def test_missing_directory_is_named(self, kind: Any, tmp_path: Path, action: str) -> None:
        path = tmp_path / "missing" / "talk.json"
        with pytest.raises(FileNotFoundError) as raised:
            talk(kind).save(path) if action == "save" else kind.load(path, client(kind))
        assert Path(raised.value.filename) == path

    def test_load_of_a_missing_file_raises_file_not_found(self, kind: Any, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            kind.load(tmp_path / "talk.json", client(kind))

    @pytest.mark.parametrize("action", ["save", "load"])
    def test_file_in_place_of_a_directory_raises(self, kind: Any, path: Path, action: str) -> None:
        with pytest.raises(NotADirectoryError):
            talk(kind).save(path / "x") if action == "save" else kind.load(path / "x", client(kind))

    @posix
    @pytest.mark.parametrize("action", ["save", "load"])
    def test_links_in_a_circle_raise(self, kind: Any, tmp_path: Path, action: str) -> None:
        (tmp_path / "a").symlink_to("b")
        (tmp_path / "b").symlink_to("a")
        with pytest.raises(OSError, match="symbolic links"):
            talk(kind).save(tmp_path / "a") if action == "save" else kind.load(tmp_path / "a", client(kind))
        assert (tmp_path / "a").is_symlink()

    @posix
    @pytest.mark.parametrize("action", ["save", "load"])
    def test_path_with_a_lone_surrogate_is_refused(self, kind: Any, tmp_path: Path, action: str) -> None:
        path = f"{tmp_path}/\ud83d"
        with pytest.raises(InvalidInput, match="path of the conversation cannot be opened"):
            talk(kind).save(path) if action == "save" else kind.load(path, client(kind))

    @pytest.mark.parametrize("step", ["fsync", "chmod", "replace"])
    def test_failed_save_leaves_the_old_file_and_no_other(
        self, kind: Any, path: Path, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        def full(*_: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, step, full)
            with pytest.raises(OSError, match="No space left") as raised:
                talk(kind).save(path)
        assert raised.value.filename == os.fspath(path)
        assert messages_in(path) == OLD
        assert list(path.parent.iterdir()) == [path]

    def test_content_is_on_the_disk_before_it_replaces_the_old_file(
        self, kind: Any, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Otherwise a power failure could leave an empty file."""
        done: list[Any] = []
        monkeypatch.setattr(os, "fsync", lambda file: done.append(os.fstat(file).st_size))
        monkeypatch.setattr(os, "replace", numbered_call(os.replace, 1, lambda: done.append("replaced")))
        talk(kind, OLD).save(path)
        assert done == [path.stat().st_size, "replaced"]

    def test_conversation_that_is_too_large_to_load_is_not_saved(
        self, kind: Any, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        size = len(path.read_bytes())
        monkeypatch.setattr(files, "_LARGEST", size)
        talk(kind, OLD).save(path)
        assert kind.load(path, client(kind)).messages == OLD
        with pytest.raises(InvalidInput, match=rf"has [\d,]+ bytes, and a file holds at most {size:,}"):
            talk(kind).save(path)
        assert messages_in(path) == OLD
        monkeypatch.setattr(files, "_LARGEST", size - 1)
        with pytest.raises(InvalidInput, match=f"since it has more than {size - 1:,} bytes"):
            kind.load(path, client(kind))

    def test_huge_file_is_not_read_into_memory(self, kind: Any, tmp_path: Path) -> None:
        """The file has a size of a terabyte and no content, so it uses no space on the disk."""
        with (tmp_path / "huge").open("wb") as file:
            file.truncate(1 << 40)
        with pytest.raises(InvalidInput, match="since it has more than 134,217,728 bytes"):
            kind.load(tmp_path / "huge", client(kind))

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            (b"", r"it is not JSON \(line 1, column 1\)"),
            (b'{"format": 1,\n "site" 5}', r"it is not JSON \(line 2, column 9\)"),
            (b"\xff\xfe{\x00}\x00", "it is not UTF-8"),
            (b"[" * 1_000_000, "it is nested too deeply"),
            (b'{"site": ' + b'{"a":' * 1_000_000, "it is nested too deeply"),
            (b'{"site": ' + b"9" * 5000 + b"}", "a number in it is too long"),
            (b"[]", "it holds a list and not an object"),
            (b"null", "it holds None and not an object"),
            (b"{}", "it has no 'site'"),
            (b'{"site": 5}', "its site is not a string"),
            (b'{"site": "x"}', "it has no 'format'"),
            (b'{"site": "x", "format": 2}', "it has no 'chat_id'"),
        ],
        ids=lambda value: repr(value[:20]),
    )
    def test_error_for_a_file_without_a_conversation_gives_the_reason(
        self, kind: Any, tmp_path: Path, content: bytes, why: str
    ) -> None:
        (tmp_path / "talk.json").write_bytes(content)
        with pytest.raises(InvalidInput, match=f"talk.json' cannot be read: it is not a conversation .*, since {why}$"):
            kind.load(tmp_path / "talk.json", client(kind))

    def test_byte_order_mark_of_an_editor_is_ignored(self, kind: Any, path: Path) -> None:
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
        assert kind.load(path, client(kind)).messages == OLD

    @pytest.mark.parametrize("wrong", ["other", "class", "None", "session"])
    def test_load_with_another_kind_of_client_is_refused(self, kind: Any, path: Path, wrong: str) -> None:
        """The client is refused before the file is read."""
        other = client(AsyncConversation if kind is Conversation else Conversation)
        values = {"other": other, "class": type(client(kind)), "None": None, "session": client(kind).session}
        with pytest.raises(InvalidInput, match=r"^client is an? (Async)?Client here, not "):
            kind.load(path / "nowhere", values[wrong])


CODE = {function.__code__ for function in vars(atomic).values() if hasattr(function, "__code__")}
CODE.add(files.save_history.__code__)


def trace_steps(kind: str, step: Callable[[], None]) -> None:
    """Call ``step`` before each line, or each opcode, of the functions that save, until ``sys.settrace(None)``."""

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code not in CODE:
            return None
        frame.f_trace_opcodes = kind == "opcode"
        if event == kind:
            step()
        return trace

    sys.settrace(trace)


class Child:
    """A forked process that runs ``action``, which calls ``stop()`` to wait for the parent process."""

    def __init__(self, action: Callable[[Callable[[], None]], object]) -> None:
        stopped, report = os.pipe()
        wait, self._go_on = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(self._go_on)

                def stop() -> None:
                    os.write(report, b"x")
                    os.read(wait, 1)

                action(stop)
                os._exit(0)
            finally:
                os._exit(1)
        os.close(report)
        os.close(wait)
        self._stopped = stopped

    def stopped(self) -> bool:
        """Wait until the child waits in ``stop()`` or has ended; return True if it waits."""
        return os.read(self._stopped, 1) == b"x"

    def go_on(self) -> None:
        os.write(self._go_on, b"x")

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self.end()

    def end(self) -> int:
        """Wait for the end of the child, and return its exit status."""
        os.close(self._stopped)
        os.close(self._go_on)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def numbered(number: int, action: Callable[[], None]) -> Callable[[], None]:
    """Return a function that calls ``action`` when it is called for the given number of times."""
    remaining = number

    def step() -> None:
        nonlocal remaining
        remaining -= 1
        if remaining == 0:
            action()

    return step


@posix
@KINDS
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
class TestKilledProcesses:
    """Processes that are killed or stopped in the middle of a save."""

    @pytest.fixture(autouse=True)
    def no_waiting_for_disks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Do not wait for the disk: a killed process, unlike a power failure, loses no written data."""
        monkeypatch.setattr(os, "fsync", lambda _: None)

    @pytest.mark.parametrize("mode", [0o600, 0o644], ids=oct)
    def test_killed_at_any_line_leaves_a_whole_file_and_the_next_save_cleans_up(
        self, kind: Any, path: Path, mode: int
    ) -> None:
        left_behind, found = 0, []
        for number in range(1, 1000):
            talk(kind, OLD).save(path)
            path.chmod(mode)

            def save(stop: Callable[[], None], number: int = number) -> None:
                trace_steps("line", numbered(number, stop))
                talk(kind).save(path)

            child = Child(save)
            if not child.stopped():
                assert child.end() == 0
                break
            child.kill()
            left_behind += len(list(path.parent.iterdir())) - 1
            found.append(messages_in(path))
            assert kind.load(path, client(kind)).messages in (OLD, NEW)
            assert mode_of(path) == mode
            talk(kind, OLD).save(path)
            assert list(path.parent.iterdir()) == [path]
        assert left_behind > 3
        assert found.count(NEW) >= 1
        assert found == sorted(found, key=[OLD, NEW].index)

    def test_save_beside_a_stopped_process_neither_waits_nor_changes_its_file(self, kind: Any, path: Path) -> None:
        def save(stop: Callable[[], None]) -> None:
            fsync = os.fsync

            def stopping(fd: Any) -> None:
                fsync(fd)
                stop()

            os.fsync = stopping
            talk(kind).save(path)

        child = Child(save)
        assert child.stopped()
        (temporary,) = set(path.parent.iterdir()) - {path}
        talk(kind, OLD).save(path)
        assert set(path.parent.iterdir()) == {path, temporary}
        assert messages_in(path) == OLD
        child.go_on()
        assert child.end() == 0
        assert messages_in(path) == NEW
        assert list(path.parent.iterdir()) == [path]

    def test_more_writers_than_shared_names_can_save_at_once(
        self, kind: Any, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(atomic, "_MOST_AT_ONCE", 1)
        self.test_save_beside_a_stopped_process_neither_waits_nor_changes_its_file(kind, path)

    def test_processes_that_save_at_once_always_leave_a_whole_file(self, kind: Any, path: Path) -> None:
        def save(stop: Callable[[], None], letter: str) -> None:
            mine = talk(kind, [says("user", letter * 20_000)])
            stop()
            for _ in range(25):
                mine.save(path)

        children = [Child(lambda stop, letter=letter: save(stop, letter)) for letter in "abc"]
        assert all(child.stopped() for child in children)
        for child in children:
            child.go_on()
        seen = set()
        for _ in range(100):
            (message,) = kind.load(path, client(kind)).messages[:1]
            seen.add(message["content"])
        assert [child.end() for child in children] == [0, 0, 0]
        assert seen <= {"old", *(letter * 20_000 for letter in "abc")}
        assert list(path.parent.iterdir()) == [path]

    def test_temporary_file_without_write_permission_is_removed(self, kind: Any, path: Path) -> None:
        """The process has another user than the superuser, who may write to any file."""
        folder = path.parent / "folder"
        folder.mkdir()

        def save(_: Any) -> None:
            os.chdir(folder)
            if os.geteuid() == 0:
                os.chown(".", 65534, 65534)
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            Path(".talk.json.0.tmp").touch(0o400)
            talk(kind).save("talk.json")
            assert os.listdir(".") == ["talk.json"]

        assert Child(save).end() == 0


@KINDS
class TestInterrupts:
    """Ctrl-C during a save, and a signal handler that saves."""

    @pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
    def test_interrupt_at_any_opcode_leaves_a_whole_file_and_no_other(
        self, kind: Any, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(atomic, "_MOST_AT_ONCE", 2)
        monkeypatch.setattr(os, "fsync", lambda _: None)  # there are hundreds of opcodes
        mine, before = talk(kind), sys.gettrace()
        old, found = path.read_bytes(), []

        def interrupt() -> None:
            raise KeyboardInterrupt

        for number in range(1, 10_000):
            path.write_bytes(old)
            trace_steps("opcode", numbered(number, interrupt))
            try:
                mine.save(path)
            except KeyboardInterrupt:
                pass
            else:
                break
            finally:
                sys.settrace(before)
            found.append(messages_in(path))
            assert list(path.parent.iterdir()) == [path], number
        assert len(found) > 300
        assert found.count(NEW) > 10
        assert found == sorted(found, key=[OLD, NEW].index)

    @posix
    @pytest.mark.parametrize("step", ["fsync", "replace"])
    def test_signal_handler_can_save_in_the_middle_of_a_save(
        self, kind: Any, path: Path, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        mine, real = talk(kind), getattr(os, step)
        monkeypatch.setattr(os, step, numbered_call(real, 1, lambda: signal.raise_signal(signal.SIGUSR1)))
        before = signal.signal(signal.SIGUSR1, lambda *_: mine.save(path))
        try:
            mine.save(path)
        finally:
            signal.signal(signal.SIGUSR1, before)
        assert messages_in(path) == NEW
        assert list(path.parent.iterdir()) == [path]


def numbered_call(real: Callable[..., Any], number: int, action: Callable[[], None]) -> Callable[..., Any]:
    """Return a function that calls ``real``. Before the call with the given number, it calls ``action``."""
    step = numbered(number, action)

    def call(*arguments: Any) -> Any:
        step()
        return real(*arguments)

    return call


@KINDS
class TestSavesAtOnce:
    """Threads that save one conversation at the same time."""

    def test_older_state_that_is_written_last_is_overwritten(
        self, kind: Any, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mine = talk(kind, OLD)
        reached, go_on = threading.Event(), threading.Event()

        def wait() -> None:
            reached.set()
            assert go_on.wait(SECONDS)

        monkeypatch.setattr(os, "replace", numbered_call(os.replace, 1, wait))
        thread = threading.Thread(target=mine.save, args=(path,))
        thread.start()
        assert reached.wait(SECONDS)
        finish(next_turn(mine, "new", ()), "new answer")
        mine.save(path)
        assert messages_in(path) == mine.messages
        go_on.set()
        thread.join(SECONDS)
        assert messages_in(path) == mine.messages == [*OLD, says("user", "new"), says("assistant", "new answer")]
        assert list(path.parent.iterdir()) == [path]

    def test_saves_in_many_threads_always_leave_a_whole_file(self, kind: Any, path: Path) -> None:
        mine, barrier, errors = talk(kind, OLD), threading.Barrier(5), []

        def save() -> None:
            try:
                barrier.wait(SECONDS)
                for _ in range(20):
                    mine.save(path)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=save) for _ in range(4)]
        for thread in threads:
            thread.start()
        barrier.wait(SECONDS)
        for number in range(20):
            finish(next_turn(mine, f"question {number}", ()), "answer")
            kind.load(path, client(kind))
        for thread in threads:
            thread.join(SECONDS)
        assert errors == []
        mine.save(path)
        assert messages_in(path) == mine.messages
        assert list(path.parent.iterdir()) == [path]


@posix
@KINDS
@pytest.mark.parametrize("is_removed", [False, True], ids=["locked", "removed"])
def test_save_uses_the_next_name_if_another_writer_locks_or_removes_its_file(
    kind: Any, path: Path, monkeypatch: pytest.MonkeyPatch, is_removed: bool
) -> None:
    """The other writer acts after the file was created and before it was locked. The next name is used."""
    temporary = path.parent / ".talk.json.0.tmp"

    def other() -> None:
        temporary.unlink()
        if not is_removed:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr("fcntl.flock", numbered_call(fcntl.flock, 1, other))
    talk(kind).save(path)
    assert messages_in(path) == NEW
    assert list(path.parent.iterdir()) == [path]


@posix
@KINDS
class TestWithoutLocks:
    """A file system without locks."""

    @pytest.fixture(autouse=True)
    def no_locks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refused(*_: Any) -> None:
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr("fcntl.flock", refused)

    def test_save_without_locks_replaces_the_file(self, kind: Any, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The new file is closed before, as Windows demands. Linux shows which files are open."""
        open_files = Path("/proc/self/fd")

        def check_open_files() -> None:
            if open_files.exists():
                names = {os.readlink(entry) for entry in open_files.iterdir() if entry.is_symlink()}
                assert not [name for name in names if name.startswith(str(path.parent))]

        monkeypatch.setattr(os, "replace", numbered_call(os.replace, 1, check_open_files))
        talk(kind).save(path)
        assert messages_in(path) == NEW
        assert list(path.parent.iterdir()) == [path]

    def test_failed_save_without_locks_leaves_no_other_file(
        self, kind: Any, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        TestErrors().test_failed_save_leaves_the_old_file_and_no_other(kind, path, monkeypatch, "replace")

    def test_temporary_file_of_another_save_is_kept(self, kind: Any, path: Path) -> None:
        other = path.parent / ".talk.json.0.tmp"
        other.write_text("of another save")
        talk(kind).save(path)
        assert messages_in(path) == NEW
        assert other.read_text() == "of another save"
