"""Runs one command and says what it took, as a line of JSON: wall clock, processor time of all its children, bytes that came by HTTP.

    meter.py COMMAND [ARGUMENT...]

The bytes are those that a proxy of ours, named in `http_proxy`, hands on from servers; what a command fetches by https is counted too (CONNECT), what
passes the proxy by is not. The command's output goes to standard error.
"""
import json
import os
import resource
import select
import socket
import subprocess
import sys
import threading
import time
from urllib.parse import urlsplit

fetched = 0
lock = threading.Lock()


def count(number):
    global fetched
    with lock:
        fetched += number


def pump(client, server):
    """Both ways, until either side ends; what comes from the server counts."""
    other = {client: server, server: client}
    while True:
        for ready in select.select([client, server], [], [], 120)[0] or [None]:
            data = ready.recv(1 << 16) if ready else b""
            if not data:
                return
            if ready is server:
                count(len(data))
            other[ready].sendall(data)


def serve(client):
    """One connection: a request's first line says where to; apt and curl keep one connection for each host."""
    with client:
        head = b""
        while b"\r\n\r\n" not in head:
            data = client.recv(1 << 16)
            if not data:
                return
            head += data
        method, target, version = head.split(b"\r\n", 1)[0].split(b" ")
        if method == b"CONNECT":
            host, port = target.decode().rsplit(":", 1)
        else:
            url = urlsplit(target.decode())
            host, port = url.hostname, url.port or 80
        with socket.create_connection((host, int(port)), 60) as server:
            if method == b"CONNECT":
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            else:
                # Requests in absolute form are what every HTTP/1.1 server takes (RFC 9112, 3.2.2).
                server.sendall(head)
            pump(client, server)


def listen():
    listener = socket.create_server(("127.0.0.1", 0))

    def accept():
        while True:
            client, _ = listener.accept()
            threading.Thread(target=lambda: quietly(client), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def quietly(client):
    try:
        serve(client)
    except OSError:
        pass  # Either side went away.


def main():
    proxy = listen()
    environment = dict(os.environ, http_proxy=proxy, https_proxy=proxy, no_proxy="")
    begin = time.perf_counter()
    code = subprocess.run(sys.argv[1:], env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr).returncode
    wall = time.perf_counter() - begin
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(json.dumps({"code": code, "wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "bytes": fetched}))


main()
