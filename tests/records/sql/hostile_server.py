"""Servers that ask for the password in clear, or that never say goodbye."""

import contextlib
import socket
import struct
import threading

TLS_REQUEST = struct.pack("!ii", 8, 80_877_103)
CLEARTEXT = b"R" + struct.pack("!ii", 8, 3)
NOTICE = b"N" + struct.pack("!i", 4 + 8) + b"SNOTICE\0"
SCRAM = b"R" + struct.pack("!ii", 8 + 15, 10) + b"SCRAM-SHA-256\0\0"

# Protocol 10 of MySQL: version, connection, salt, capabilities without TLS, charset, status.
_CAPABILITIES = 0x0008_0000 | 0x0000_8000 | 0x0000_0200 | 0x0000_0008 | 0x0000_0001
_GREETING = (
    b"\x0a5.5.5-11.8.1-MariaDB\0" + struct.pack("<i", 1) + b"12345678\0"
    + struct.pack("<HBHH", _CAPABILITIES & 0xFFFF, 45, 2, _CAPABILITIES >> 16)
    + b"\x15" + b"\0" * 10 + b"123456789012\0mysql_native_password\0"
)  # fmt: skip


def _packet(number, body):
    return struct.pack("<i", len(body))[:3] + bytes([number]) + body


class _Listener:
    """A context manager that hands one connection after another to `meet`, on a thread."""

    def __init__(self):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                self.meet(self._socket.accept()[0])


class HostileServer(_Listener):
    """*speak* is what one connection does. `connections` is what each heard."""

    def __init__(self, speak):
        super().__init__()
        self.connections = []
        self._speak = speak

    @property
    def heard(self):
        return b"".join(map(bytes, self.connections))

    def meet(self, client):
        heard = bytearray()
        self.connections.append(heard)
        with contextlib.suppress(OSError), client:
            self._speak(_Heard(client, heard))


class SilentEnd(_Listener):
    """Passes on what client and the server at *port* say, but no end of it."""

    def __init__(self, port):
        super().__init__()
        self._server_port = port
        self._links = []

    def __exit__(self, *error):
        super().__exit__(*error)
        for link in self._links:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
            link.close()

    def meet(self, client):
        server = socket.create_connection(("127.0.0.1", self._server_port))
        self._links += client, server
        for source, target in ((client, server), (server, client)):
            threading.Thread(target=_pass_on, args=(source, target), daemon=True).start()


def _pass_on(source, target):
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)


class _Heard:
    """A connection whose received bytes are kept."""

    def __init__(self, link, heard):
        self._link = link
        self._heard = heard
        self.send = link.sendall

    def receive(self):
        data = self._link.recv(65_536)
        self._heard += data
        return data


def postgresql(*answers, slowly=False):
    """Decline TLS; answer each message of the client with the next of *answers*."""

    def speak(link):
        while link.receive() == TLS_REQUEST:
            link.send(b"N")
        for answer in answers:
            for part in [bytes([byte]) for byte in answer] if slowly else [answer]:
                link.send(part)
            if not link.receive():
                return

    return speak


def mariadb(plugin):
    """Offer no TLS, and switch to the authentication *plugin*."""

    def speak(link):
        link.send(_packet(0, _GREETING))
        link.receive()
        question = b"\x04Password: " if plugin == b"dialog" else b""
        link.send(_packet(2, b"\xfe" + plugin + b"\0" + question))
        link.receive()

    return speak


def silent(greets):
    """Take a connection and hear what comes, and say nothing, or nothing after MySQL's greeting."""

    def speak(link):
        if greets:
            link.send(_packet(0, _GREETING))
        while link.receive():
            pass

    return speak


def mysql(key):
    """Offer no TLS, ask for the password itself, and name *key* as the one to encrypt it for."""

    def speak(link):
        link.send(_packet(0, _GREETING))
        link.receive()
        link.send(_packet(2, b"\xfecaching_sha2_password\0" + b"challenge-challenge-"[:20] + b"\0"))
        link.receive()
        link.send(_packet(4, b"\x01\x04"))
        link.receive()
        link.send(_packet(6, b"\x01" + key))
        link.receive()

    return speak
