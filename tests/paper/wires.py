"""Websocket clients of the paper tests, as plain as they can be."""

import json

import msgpack
from websockets.sync.client import connect

OLD_KEYS = {"action": "authenticate", "data": {"key_id": "large", "secret_key": "paper"}}
LISTEN = {"action": "listen", "data": {"streams": ["trade_updates"]}}
PACKED = {"Content-Type": "application/msgpack"}


def opened(url, **kwargs):
    """A connected socket that outlives the function; the server's end closes what a test leaves open."""
    return connect(url, compression=None, **kwargs).__enter__()


def trade_stream(paper, *messages, path="/stream"):
    """Connect, say these, and return the socket and the answers."""
    socket = opened(paper.said["rest"].replace("http", "ws") + path)
    answers = []
    for message in messages:
        socket.send(json.dumps(message))
        answers.append(received(socket))
    return socket, answers


def received(socket, timeout=5):
    """The next frame, decoded as what it is."""
    frame = socket.recv(timeout)
    try:
        return json.loads(frame)
    except ValueError:
        return msgpack.unpackb(frame)


def data_stream(paper, path, *, packed=True, key="large", **subscription):
    """Connect, authenticate, subscribe; return the socket and all answers so far."""
    url = paper.said["rest"].replace("http", "ws") + path
    socket = opened(url, additional_headers=PACKED if packed else {})
    answers = [received(socket)]
    write = msgpack.packb if packed else json.dumps
    socket.send(write({"action": "auth", "key": key, "secret": "paper"}))
    answers.append(received(socket))
    if subscription:
        socket.send(write({"action": "subscribe", **subscription}))
        answers.append(received(socket))
    return socket, answers


def options(paper, **kwargs):
    return data_stream(paper, "/v1beta1/indicative", **kwargs)


def stocks(paper, **kwargs):
    return data_stream(paper, "/v2/iex", **kwargs)


def silent(socket):
    """Whether nothing comes."""
    try:
        socket.recv(0.15)
    except TimeoutError:
        return True
    return False


def error(code, message):
    return [{"T": "error", "code": code, "msg": message}]
