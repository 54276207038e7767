"""A TCP link between two nodes that can be cut after so many bytes, frozen, or made to call something at a point of a sync."""
import socket
import struct
import threading

UP, DOWN = 0, 1                                           # from the dialler to the listener, and back


class Link:
    """Both sockets of one connection that passes, and a thread for each direction."""

    def __init__(self, proxy, near, far):
        self.proxy, self.ends, self.passed = proxy, (near, far), [0, 0]
        for way in (UP, DOWN):
            threading.Thread(target=self.carry, args=(way,), daemon=True).start()

    def carry(self, way):
        source, sink = self.ends[way], self.ends[1 - way]
        try:
            while True:
                piece = source.recv(65536)
                if not piece:
                    break
                self.proxy.flowing.wait()
                if not self.proxy.take(self, way, piece, sink):
                    break
        except OSError:
            pass
        self.close()

    def close(self):
        for s in self.ends:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()


class Proxy:
    """Listens at self.port and passes on to self.target. After a cut it takes no connection until it is armed or opened again."""

    def __init__(self, target):
        self.target, self.lock, self.links = target, threading.Lock(), []
        self.flowing, self.fired = threading.Event(), threading.Event()
        self.flowing.set()
        self.passed = [0, 0]                              # since the start
        self.trap = None                                  # (way, bytes, action)
        self.shut = False
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            near = self.listener.accept()[0]
            try:
                if self.shut:
                    raise OSError
                far = socket.create_connection(('127.0.0.1', self.target), 5)
            except OSError:
                near.close()
                continue
            for s in (near, far):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.links = [x for x in self.links if x.ends[0].fileno() >= 0] + [Link(self, near, far)]

    def take(self, link, way, piece, sink):
        """Passes a piece on, up to the point of the trap. False: the link is cut."""
        action = None
        with self.lock:
            if self.trap is not None and way == self.trap[0] and link.passed[way] + len(piece) >= self.trap[1]:
                piece = piece[:max(0, self.trap[1] - link.passed[way])]
                action, self.trap = self.trap[2], None
            link.passed[way] += len(piece)
            self.passed[way] += len(piece)
        sink.sendall(piece)
        if action is None:
            return True
        keeps = action(self)
        self.fired.set()
        return keeps

    def arm(self, way, after, action):
        """Once a connection has passed so many bytes that way: the rest of the piece is lost, and action(proxy) is called; if it is
        false the connection ends."""
        with self.lock:
            self.fired.clear()
            self.trap, self.shut = (way, after, action), False

    def open(self):
        with self.lock:
            self.trap, self.shut = None, False

    def cut(self, *_, reset=False):
        """Ends all connections and takes no more."""
        self.shut = True
        for link in self.links:
            if reset:
                for s in link.ends:
                    try:
                        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
                    except OSError:
                        pass
            link.close()
        return False
