"""The HTTP port of a model server."""

import socket


def listen(host: str, port: int) -> socket.socket:
    """Take a port without answering on it yet; `OSError` names it when it is in use."""
    taken = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((host, port))
    except OSError as error:
        taken.close()
        raise OSError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return taken
