"""Send a notification to a webhook; only to public addresses unless private ones are accepted."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from product_classifier.catalogue.photo_downloads import CheckedResolver, DownloadLimits, DownloadRefused, check_url

TIMEOUT_S: Final = 10.0


def send(url: str, body: Mapping[str, Any], *, private_addresses: bool = False) -> str:
    """Send JSON by POST, without following redirects; return why it failed, empty if it did not."""
    limits = DownloadLimits(private_addresses=private_addresses)
    try:
        check_url(url, limits)
        status = asyncio.run(_post(url, json.dumps(body).encode(), limits))
    except DownloadRefused as error:
        return str(error)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        return f"no response: {type(error).__name__}"
    return "" if 200 <= status < 300 else f"the server responded with status {status}"


async def _post(url: str, body: bytes, limits: DownloadLimits) -> int:
    connector = aiohttp.TCPConnector(resolver=CheckedResolver(limits))
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    headers = {"Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
        session.post(url, data=body, headers=headers, allow_redirects=False) as response,
    ):
        return response.status
