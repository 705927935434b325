"""What is opened and written below some folders of a lab's sysfs (regular files there), by inotify(7)."""

import ctypes
import os
import struct

IN_MODIFY, IN_CLOSE_WRITE, IN_OPEN, IN_ISDIR = 0x2, 0x8, 0x20, 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


class Watch:
    def __init__(self, folders):
        self.fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        self.folders, self.opened, self.written = {}, [], []
        for folder in folders:
            watch = libc.inotify_add_watch(self.fd, os.fsencode(folder), IN_MODIFY | IN_CLOSE_WRITE | IN_OPEN)
            if watch < 0:
                raise OSError(ctypes.get_errno(), "inotify_add_watch", folder)
            self.folders[watch] = folder

    def read(self):
        """Adds what has happened to `opened` and `written`: paths, in order."""
        while True:
            try:
                data = os.read(self.fd, 65536)
            except BlockingIOError:
                return self
            while data:
                watch, mask, _, length = struct.unpack_from("iIII", data)
                name = data[16:16 + length].rstrip(b"\0").decode()
                data = data[16 + length:]
                if mask & IN_ISDIR or not name:
                    continue
                path = os.path.join(self.folders[watch], name)
                if mask & IN_OPEN:
                    self.opened.append(path)
                if mask & (IN_MODIFY | IN_CLOSE_WRITE):
                    self.written.append(path)

    def close(self):
        os.close(self.fd)
