"""A client of the app-server, written from docs/app-server.md alone: no code of ours, no library."""

import json
import subprocess
import threading


class AppServer:
    """A server process, its answers sorted by id. Messages go out as the bytes they are given as."""

    def __init__(self, command):
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        self._arrived = threading.Condition()
        self._answers = {}
        self._without_id = []
        self._problems = []
        self._ended = False
        threading.Thread(target=self._read, daemon=True).start()

    def send_bytes(self, data):
        view = memoryview(data)
        while view:
            view = view[self._process.stdin.write(view) :]

    def send(self, *messages):
        self.send_bytes(b"".join(json.dumps(m).encode() + b"\n" for m in messages))

    def request(self, identifier, method, params=None):
        self.send({"id": identifier, "method": method, "params": params or {}})
        return self.answer(identifier)

    def answer(self, identifier):
        """The answer to `identifier`, which is taken out; waits for it."""
        key = json.dumps(identifier)
        with self._arrived:
            self._wait_until(lambda: key in self._answers)
            return self._answers.pop(key)

    def answer_without_id(self):
        """The next answer whose id is null; waits for it."""
        with self._arrived:
            self._wait_until(lambda: self._without_id)
            return self._without_id.pop(0)

    def close_input(self):
        self._process.stdin.close()

    def exit_code(self):
        """Waits for the server to end, and for the last of its answers."""
        code = self._process.wait(timeout=60)
        with self._arrived:
            self._wait_until(lambda: self._ended)
        return code

    def leftovers(self):
        """Answers without a request, and lines that are not answers."""
        with self._arrived:
            return list(self._answers.values()) + self._without_id + self._problems

    def kill(self):
        self._process.kill()
        self._process.wait()

    def _wait_until(self, condition):
        if not self._arrived.wait_for(lambda: condition() or self._ended and not condition(), 60):
            raise TimeoutError("no answer within a minute")
        if not condition():
            raise EOFError("the server has ended without the answer")

    def _read(self):
        for line in self._lines():
            try:
                answer = json.loads(line)
                if ("result" in answer) == ("error" in answer) or "id" not in answer:
                    raise ValueError("no answer")
            except (ValueError, TypeError):
                self._take(self._problems.append, line)
                continue
            if answer["id"] is None:
                self._take(self._without_id.append, answer)
            else:
                self._take(self._file, answer)
        with self._arrived:
            self._ended = True
            self._arrived.notify_all()

    def _lines(self):
        rest = b""
        while True:
            chunk = self._process.stdout.read(65536)
            if not chunk:
                break
            *lines, rest = (rest + chunk).split(b"\n")
            yield from lines
        if rest:
            yield rest  # a line without an end is a problem

    def _take(self, consume, item):
        with self._arrived:
            consume(item)
            self._arrived.notify_all()

    def _file(self, answer):
        key = json.dumps(answer["id"])
        if key in self._answers:
            self._problems.append(answer)
        else:
            self._answers[key] = answer
