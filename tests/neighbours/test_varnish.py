"""Varnish, with the lines of docs/neighbours.md."""

import unittest

from tests.neighbours.documented import lines
from tests.neighbours.proxies import Proxied
from tests.neighbours.scene import configured, free_port


class Varnish(Proxied, unittest.TestCase):
    @classmethod
    def start(cls, gateway):
        port = free_port()
        own = lines("varnish").replace('.host = "gateway"; .port = "5153";', f'.host = "127.0.0.1"; .port = "{gateway}";')
        command = ["varnishd", "-F", "-n", "{folder}/varnish", "-a", f"127.0.0.1:{port}", "-f", "{folder}/vcl", "-s", "malloc,16m"]
        return configured(command, port, "vcl", own)
