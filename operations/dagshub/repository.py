"""Whether a token may use a repository on DagsHub."""

import urllib.error
import urllib.request

from operations.dagshub.settings import Settings
from product_classifier.errors import ProductClassifierError

TIMEOUT_S = 20.0


class AccessRefused(ProductClassifierError):
    """DagsHub does not let the token use the repository, or does not respond."""


def check_access(settings: Settings) -> None:
    """Request the description of the repository; raise `AccessRefused` if it is not returned."""
    name = f"{settings.owner}/{settings.repo}"
    request = urllib.request.Request(  # noqa: S310 - the scheme is validated
        f"{settings.dagshub_url}/api/v1/repos/{name}",
        headers={"Authorization": f"Bearer {settings.dagshub_token.get_secret_value()}"},
    )
    try:
        urllib.request.urlopen(request, timeout=TIMEOUT_S).close()  # noqa: S310 - likewise
    except urllib.error.HTTPError as error:
        if error.code in {401, 403}:
            raise AccessRefused(
                f"DAGSHUB_TOKEN: is refused for {name} ({error.code}); create one that may write"
            ) from error
        if error.code == 404:
            raise AccessRefused(f"OWNER, REPO: there is no {name}; create it on {settings.dagshub_url}") from error
        raise AccessRefused(f"{settings.dagshub_url}: responded {error.code}; try again later") from error
    except OSError as error:
        raise AccessRefused(f"{settings.dagshub_url}: does not respond ({error}); check DAGSHUB_URL") from error
