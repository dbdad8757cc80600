"""HAProxy, with the lines of docs/neighbours.md."""

import unittest

from tests.neighbours.documented import lines
from tests.neighbours.proxies import Proxied
from tests.neighbours.scene import configured, free_port


class HaProxy(Proxied, unittest.TestCase):
    @classmethod
    def start(cls, gateway):
        port = free_port()
        own = lines("haproxy").replace("bind :443 ssl crt /etc/haproxy/reports.pem", f"bind 127.0.0.1:{port}")
        return configured(["haproxy", "-db", "-f", "{folder}/cfg"], port, "cfg", own.replace("gateway:5153", f"127.0.0.1:{gateway}"))
