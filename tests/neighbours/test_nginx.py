"""nginx, with the lines of docs/neighbours.md."""

import unittest

from tests.neighbours.documented import lines
from tests.neighbours.proxies import Proxied
from tests.neighbours.scene import Process, configured, free_port


def nginx(port: int, servers: str) -> Process:
    """Starts nginx, which listens on the port, with these lines in its block `http`."""
    text = f"""
        daemon off; pid {{folder}}/pid; error_log stderr;
        events {{}}
        http {{
            access_log off; client_body_temp_path {{folder}}/body; proxy_temp_path {{folder}}/proxy;
            fastcgi_temp_path {{folder}}/fastcgi; uwsgi_temp_path {{folder}}/uwsgi; scgi_temp_path {{folder}}/scgi;
            {servers}
        }}"""
    return configured(["nginx", "-p", "{folder}", "-c", "{folder}/nginx.conf"], port, "nginx.conf", text)


def documented(port: int, gateway: int) -> str:
    """The documented block, with these ports."""
    return lines("nginx").replace("listen 443 ssl;", f"listen 127.0.0.1:{port};").replace("gateway:5153", f"127.0.0.1:{gateway}")


class Nginx(Proxied, unittest.TestCase):
    @classmethod
    def start(cls, gateway):
        port = free_port()
        return nginx(port, documented(port, gateway))


class NginxWithCache(Proxied, unittest.TestCase):
    @classmethod
    def start(cls, gateway):
        port = free_port()
        own = documented(port, gateway).replace("        proxy_buffering off;\n", lines("nginx-cache"))
        return nginx(port, "proxy_cache_path {folder}/cache keys_zone=reports:1m;" + own)
