"""The double of poll_client.c for machines without a C compiler or epoll: the same arguments, command and answer."""

import json
import re
import selectors
import socket
import sys
import time

READ_SIZE = 65536
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Poll:
    """A connection with one request under way."""

    def __init__(self, port: int, request: bytes) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = request
        self._data = b""
        self.sent = 0.0
        self.status = 0

    def ask(self) -> None:
        self.sent = time.perf_counter()
        self.sock.sendall(self._request)

    def answered(self) -> bool:
        """Read what is there; whether the answer is whole."""
        data = self.sock.recv(READ_SIZE)
        if not data:
            sys.exit("the server has closed a connection")
        self._data += data
        head, found, body = self._data.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if not found or len(body) < (int(length[1]) if length else 0):
            return False
        self.status, self._data = int(head[9:12]), b""
        return True


def run(polls: list[Poll], seconds: float) -> dict[str, object]:
    begun, cpu = time.perf_counter(), time.process_time()
    answers, waited, under_way = 0, 0.0, len(polls)
    with selectors.DefaultSelector() as selector:
        for poll in polls:
            selector.register(poll.sock, selectors.EVENT_READ, poll)
            poll.ask()
        while under_way:
            for key, _ in selector.select():
                poll = key.data
                if not poll.answered():
                    continue
                now = time.perf_counter()
                answers += 1
                waited += now - poll.sent
                if now - begun < seconds:
                    poll.ask()
                else:
                    under_way -= 1
    return {
        "answers": answers,
        "status": polls[0].status,
        "seconds": time.perf_counter() - begun,
        "mean_ms": waited / answers * 1000,
        "cpu_s": time.process_time() - cpu,
    }


def main() -> None:
    port, path, connections, header = sys.argv[1:]
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", *([header] if header else []), "", ""]
    polls = [Poll(int(port), "\r\n".join(lines).encode()) for _ in range(int(connections))]
    print(json.dumps({"ready": len(polls)}), flush=True)
    for line in sys.stdin:
        print(json.dumps(run(polls, float(line.split()[1]))), flush=True)


if __name__ == "__main__":
    main()
